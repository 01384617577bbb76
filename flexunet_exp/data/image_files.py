"""Checks of picture and mask files from anywhere, before their pixels are decoded, and decoding.

The checks read a file's kind, size and header alone, so that a pipe does not block the command and
a small file cannot unpack to a giant picture. `normalised` counts pictures that are not 8-bit RGB.
"""

from __future__ import annotations

import io
import stat
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageOps

from flexunet_exp.errors import InputError

MAX_BYTES = 2**31  # of a file
MAX_PIXELS = 200_000_000  # of a picture

# Pillow refuses pictures above twice its limit. Its warnings name no file; the errors here do.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
warnings.filterwarnings("ignore", module=r"PIL\.")

FORMATS = ("PNG", "JPEG", "MPO", "BMP", "TIFF")  # MPO: a camera's JPEG with a preview behind it
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "I;16", "I;16B", "I;16L", "I;16N")
ORIENTATION, BITS, SAMPLES, PLANES = 274, 258, 277, 284  # tags of EXIF and TIFF
UPRIGHT = (None, 0, 1)
SIDEWAYS = 5  # orientations from here on exchange rows and columns
# Where Pillow finds an orientation beside EXIF; OpenCV, which decodes, reads EXIF alone.
NOT_EXIF = ("XML:com.adobe.xmp", "xmp", "Raw profile type exif")
ARRAY_HEADER = 2**16  # bytes; a header of NumPy has a few hundred, but may claim up to 4 GiB


class Header(NamedTuple):
    """Facts of a file, of which its decoded pixels show the size alone."""

    kind: str = "PNG"
    size: tuple[int, int] = (0, 0)  # (height, width), as its EXIF turns it
    deep: bool = False  # 16 bits a channel
    alpha: bool = False
    turned: bool = False  # by its EXIF orientation
    several: bool = False  # pages
    mode: str = "RGB"  # of Pillow
    keyed: bool = False  # one colour, or some of a palette, are transparent
    peak: int = 0  # the largest value of a decoded 16-bit picture
    planes: int = 0  # of a TIFF that stores its channels one after the other

    @property
    def is_grey(self) -> bool:
        return self.mode in ("1", "L", "LA") or self.mode.startswith("I")


def read_bytes(path: str | Path) -> bytes:
    """The bytes of a file; InputError where it cannot be read, is empty or not a regular file."""
    try:
        _check_file(Path(path))
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    if not data:
        raise InputError(f"{path}: the file is empty, expected an image: copy it again.")
    return data


def header(data: bytes, path: str | Path) -> Header:
    """The header of a picture's file; `path` only names it in an error.

    Raises InputError for a file that is not a picture, has more than MAX_PIXELS, or has colours
    that do not convert to RGB.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return _accepted(picture, data, path)
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: {str(error).split(',')[0]}. Cut it into parts.") from error
    except Exception as error:  # Pillow's readers raise errors of many kinds
        raise _many_channels(data, path) or not_an_image(path) from error


def array_of(data: bytes, path: str | Path, name: str) -> np.ndarray:
    """The array `name` of an .npz file; InputError where it is missing, too large or of objects."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            with archive.open(f"{name}.npy") as member:
                _check_array(io.BytesIO(member.read(ARRAY_HEADER)), path)
            with archive.open(f"{name}.npy") as member:
                return np.lib.format.read_array(member, allow_pickle=False)
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise errors of many types
        raise InputError(
            f"{path}: expected an .npz file with a one-hot array (H, W, classes) named {name}."
        ) from error


def by_exif_alone(picture: Image.Image) -> Image.Image:
    """The picture without the other orientations, which Pillow uses where EXIF has none."""
    for key in NOT_EXIF:
        picture.info.pop(key, None)
    return picture


def upright(data: bytes, path: str | Path) -> Image.Image:
    """The decoded picture, turned as its EXIF says; InputError where it cannot be decoded."""
    try:
        picture = Image.open(io.BytesIO(data))
        picture.load()
        return ImageOps.exif_transpose(by_exif_alone(picture))
    except Exception as error:  # Pillow's readers raise errors of many kinds
        raise not_an_image(path) from error


def orientation(data: bytes, path: str | Path) -> int | None:
    """The EXIF orientation of a picture; None without one."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return _orientation(picture, data)
    except Exception as error:  # Pillow's readers raise errors of many kinds
        raise not_an_image(path) from error


def oriented(pixels: np.ndarray, tag: int | None) -> np.ndarray:
    """The pixels (H, W, N) of a file upright, as the value of its tag Orientation says."""
    turned = pixels.swapaxes(0, 1) if tag in range(SIDEWAYS, 9) else pixels
    down, across = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}.get(
        tag or 1, (1, 1)
    )
    return np.ascontiguousarray(turned[::down, ::across])


def decoded_by(flags: int, data: bytes, path: str | Path) -> np.ndarray:
    """What OpenCV decodes; InputError where it cannot."""
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise not_an_image(path)
    return pixels


def not_an_image(path: str | Path) -> InputError:
    return InputError(f"{path}: no readable image, or cut off half-way: copy or export it again.")


def normalised(headers: Iterable[Header]) -> dict[str, int]:
    """How many pictures are not 8-bit RGB on disk, by what reading changes."""
    found = list(headers)
    counts = {
        "of 16 bits (read as dataset.bit_depth says)": sum(one.deep for one in found),
        "with alpha (dropped)": sum(one.alpha for one in found),
        "turned upright as their EXIF says": sum(one.turned for one in found),
        "of several pages (the first is taken)": sum(one.several for one in found),
    }
    return {what: number for what, number in counts.items() if number}


def _check_file(path: Path) -> None:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise InputError(
            f"{path}: a folder, not a picture. Rename it. If it holds pictures, make it readable."
        )
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: neither a file nor a folder, but a pipe, socket or device.")
    if status.st_size > MAX_BYTES:
        raise InputError(
            f"{path}: {status.st_size / 2**30:.1f} GiB, expected less than {MAX_BYTES / 2**30:.0f} "
            "GiB: is it a picture? Cut it into parts."
        )


def _accepted(picture: Image.Image, data: bytes, path: str | Path) -> Header:
    kind, mode = picture.format or "", picture.mode
    if kind not in FORMATS:
        raise InputError(f"{path}: a {kind} picture, expected PNG, JPEG, BMP or TIFF: convert it.")
    if mode not in MODES and (kind, mode) != ("PNG", "I"):
        raise InputError(
            f"{path}: {mode} colours, expected 8 or 16-bit grey, RGB, RGBA or palette: convert it."
        )
    tags = getattr(picture, "tag_v2", {})
    samples = tags.get(SAMPLES, 1)
    if samples > 1 and mode in ("L", "I;16"):  # OpenCV would read the first channel alone
        raise _many_channels(data, path) or not_an_image(path)
    orientation = _orientation(picture, data)
    width, height = picture.size
    return Header(
        kind,
        (width, height) if (orientation or 1) >= SIDEWAYS else (height, width),
        deep=mode.startswith("I") or _bits(picture, data) == 16,
        alpha="A" in mode or "transparency" in picture.info,
        several=getattr(picture, "is_animated", False),  # counting a TIFF's pages may take hours
        turned=orientation not in UPRIGHT,
        mode=mode,
        keyed="transparency" in picture.info,
        planes=samples if samples > 1 and tags.get(PLANES) == 2 else 0,
    )


def _many_channels(data: bytes, path: str | Path) -> InputError | None:
    """What is wrong with a TIFF that is neither grey, RGB nor RGBA; None for another file."""
    from flexunet_exp.data import channels, tiff_files  # they import this module

    number = tiff_files.number_of(data) if tiff_files.is_tiff(data) else 0
    if number in (0, 1, channels.RGB.number):
        return None
    return InputError(channels.other_number(path, number, channels.RGB))


def _orientation(picture: Image.Image, data: bytes) -> int | None:
    """The EXIF orientation; None without one.

    To find EXIF behind the pixels of a PNG, Pillow decodes all of it. A PNG without EXIF is
    therefore checked by its checksums alone: libpng's own messages would name no file.
    """
    if picture.format == "PNG" and b"eXIf" not in data:
        picture.verify()
        return None
    return by_exif_alone(picture).getexif().get(ORIENTATION)


def _bits(picture: Image.Image, data: bytes) -> int:
    """Bits a channel, from the file: Pillow opens a PNG of 16-bit colours as one of 8 bits."""
    if picture.format == "PNG":
        return data[24]
    tags = getattr(picture, "tag_v2", {})
    return max(tags.get(BITS, (8,)))


def _check_array(member: IO[bytes], path: str | Path) -> None:
    """Raises InputError for an array that is too large or of objects, from its header alone."""
    version = np.lib.format.read_magic(member)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, _, dtype = read(member)
    if dtype.hasobject:
        raise InputError(f"{path}: holds Python objects, which are not unpacked; expected numbers.")
    if np.prod(shape[:2], dtype=float) > MAX_PIXELS:
        raise InputError(
            f"{path}: unpacks to {shape} numbers, at most {MAX_PIXELS:,} pixels are allowed."
        )
    if dtype.itemsize * np.prod(shape, dtype=float) > MAX_BYTES:
        raise InputError(f"{path}: unpacks to more than {MAX_BYTES / 2**30:.0f} GiB: is it a mask?")
