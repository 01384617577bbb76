"""Reads images and masks from disk into the shapes that every other part relies on.

An image is uint8 or uint16 (H, W, 3) RGB, or of other `channels`, black to white (`grey_levels`); a
mask is uint8 (H, W), a class index a pixel, 0 background and 255 ignore. Masks are never
interpolated.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from flexunet_exp.data import bit_depth, channel_files, grey_levels, image_files, tiff_files
from flexunet_exp.data.bit_depth import Bits
from flexunet_exp.data.channels import RGB, Channels, by_channels
from flexunet_exp.data.grouping import Problem, first_of
from flexunet_exp.data.image_files import Header
from flexunet_exp.data.masks import mask_files, mask_values
from flexunet_exp.data.masks.mask_rules import IGNORE, Reading, exact_classes
from flexunet_exp.data.masks.mask_values import ReadMask
from flexunet_exp.errors import InputError
from flexunet_exp.system.files import replace_file

EDGE_RULES = ("present", "nearest")

# InputError names a broken file; OpenCV's own lines do not.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def read_image(path: str | Path, bits: Bits = 16, channels: Channels = RGB) -> np.ndarray:
    """Read any 8 or 16-bit grey, RGB, RGBA or palette picture as (H, W, 3) RGB, upright.

    8 bits are uint8; 16 bits are uint16, scaled by the `bits` that are used (`bit_depth`). Alpha is
    dropped, the EXIF orientation is applied. With other `channels`, (H, W, N) of a file that has
    them, or of the files of all lights, one of which `path` names. Raises InputError naming a file
    that is missing, empty, truncated, no image, refused (`image_files`), of other channels, or of
    values that `bits` cannot hold.
    """
    return _scaled(*_pixels(channels.contents(path), path, channels), bits, path)


def decode_image(
    data: bytes, path: str | Path, bits: Bits = 16, channels: Channels = RGB
) -> np.ndarray:
    """Decode a whole picture already read, as `read_image` does; `path` only names it in an error.

    Of lights, it is one file with all of them as channels.
    """
    if channels.lights:
        return _scaled(*channel_files.one_file(data, path, Channels(channels.number)), bits, path)
    return _scaled(*_pixels([data], path, channels), bits, path)


def decode_with_header(
    contents: Sequence[bytes], path: str | Path, channels: Channels = RGB
) -> tuple[np.ndarray, Header]:
    """What `read_image` returns as uint8, 16 bits scaled by the picture alone; and its header.

    For what does not depend on contrast, while the range of the set is not known yet. `contents`
    are those of the picture's files.
    """
    pixels, header = _pixels(contents, path, channels)
    if not header.deep:
        return pixels, header
    peak = int(pixels.max(initial=0))
    image = bit_depth.scaled(pixels, bit_depth.smallest(peak), path)
    return grey_levels.as_bytes(image), header._replace(peak=peak)


def read_binary_mask(path: str | Path, class_index: int) -> np.ndarray:
    """Read a black-and-white defect mask as uint8 (H, W), as `read_binary` does."""
    return read_binary(path, class_index).mask


def read_binary(path: str | Path, class_index: int) -> ReadMask:
    """Read a black-and-white defect mask: 255 (of 8 bits) becomes `class_index`, 0 stays 0.

    Raises InputError where the file has any other value (it was interpolated, or is not a mask),
    or an alpha that is not constant.
    """
    grey, header = _grey_of(path)
    white = grey == 255
    if np.count_nonzero(white) != np.count_nonzero(grey):
        raise InputError(_not_binary(grey, path))
    return ReadMask(white.astype(np.uint8) * np.uint8(class_index), turned=header.turned)


def read_any_shape(path: str | Path, class_index: int) -> ReadMask:
    """Read a mask of 0 and one other value, whichever it is: that becomes `class_index`.

    MVTec LOCO AD writes the kind of the defect as the value. Raises InputError for more values.
    """
    grey, header = _grey_of(path)
    values = [str(value) for value in np.unique(grey) if value]
    if len(values) > 1:
        raise InputError(
            f"{path}: one mask of several holds 0 and one other value, found {first_of(values)}: "
            "was it resized with interpolation? Export it again without."
        )
    return ReadMask((grey > 0).astype(np.uint8) * np.uint8(class_index), turned=header.turned)


def _grey_of(path: str | Path) -> tuple[np.ndarray, Header]:
    """The grey values (H, W) uint8 of a mask file, and its header."""
    data = image_files.read_bytes(path)
    header = image_files.header(data, path)
    mask_files.refuse_lossy(header, path)
    if header.deep:
        pixels = mask_files.deep_pixels(data, path, header)
        return mask_files.narrowed(_as_grey(pixels), path), header
    if header.alpha:
        mask_files.check_alpha(image_files.upright(data, path), path)
    return _decode(data, path, header, cv2.IMREAD_GRAYSCALE), header


def read_colour_mask(
    path: str | Path, palette: np.ndarray, rule: str = "present", limit: float = 0.02
) -> tuple[np.ndarray, int]:
    """Read one multiclass mask as uint8 (H, W), and the number of its pixels at edges.

    `palette` is uint8 (C, 3), background first. Decided in this order:
    1. Every pixel's colour (a palette or grey file: the colour it shows) is a class colour.
    2. Else a file of a palette, one channel or three equal ones, whose stored values are all class
       indices (or 255, ignore), is an index mask. A black-and-white file of 0 and 255 alone is
       refused: it names no class.
    3. Else pixels of no class colour must be edges (`mask_edges`). They take the nearest class
       colour (squared RGB distance, ties to the lower class). With `rule="present"` only the
       classes that the edge touches are candidates; with `"nearest"`, the rule of the original
       program, all class colours are.
    An `.npz` holds a one-hot (H, W, C) array under `mask`; a pixel of no class, or of several, is
    background and counts as one of no class colour. Raises InputError where the share of such
    pixels (0..1) exceeds `limit`, or the file cannot be read. A layout decides what is ambiguous
    over its whole set (`mask_sets`).
    """
    check_rule(rule)
    palette = np.asarray(palette, dtype=np.uint8)
    names = tuple(f"class {index}" for index in range(len(palette)))
    found = mask_values.read(path, Reading(palette, names, rule, limit))
    return found.mask, found.odd


def odd_colours(path: str | Path, palette: np.ndarray) -> dict[tuple[int, ...], int]:
    """Colours of a mask file that are not in the palette (C, 3) → number of their pixels.

    Empty for an .npz. Raises InputError where the file cannot be read.
    """
    if Path(path).suffix.lower() == ".npz":
        return {}
    stored = mask_files.stored(path)
    odd = exact_classes(stored.colours, np.asarray(palette, np.uint8)) == IGNORE
    counts: dict[tuple[int, ...], int] = {}
    for colour, count in zip(
        stored.colours[odd].tolist(), stored.counts[odd].tolist(), strict=True
    ):
        counts[tuple(colour)] = counts.get(tuple(colour), 0) + count
    return counts


def check_rule(rule: str) -> None:
    """Raise InputError unless `rule` is a rule for pixels of no class colour."""
    if rule not in EDGE_RULES:
        raise InputError(f"dataset.layout.off_palette={rule}: expected {' or '.join(EDGE_RULES)}.")


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize to `size` (height, width): area average when shrinking, bilinear when enlarging."""
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return by_channels(
        image, lambda part: cv2.resize(part, (width, height), interpolation=interpolation)
    )


def resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an index mask to `size` (height, width) by nearest neighbour, which adds no class."""
    height, width = size
    if mask.shape == (height, width):
        return mask
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


def write_palette_mask(path: str | Path, mask: np.ndarray, palette: np.ndarray) -> None:
    """Write an index mask as palette PNG: pixel value = class, shown in the class's colour.

    `palette` is uint8 (C, 3); 255 (ignore) shows as magenta. A reader never sees half a file.
    `read_colour_mask` gives the same mask back.
    """
    replace_file(Path(path), encode_palette_mask(mask, palette))


def encode_palette_mask(mask: np.ndarray, palette: np.ndarray) -> bytes:
    """The file that `write_palette_mask` writes."""
    picture = Image.fromarray(np.ascontiguousarray(mask, dtype=np.uint8))
    picture.putpalette(_full_palette(np.asarray(palette, dtype=np.uint8)).tobytes())
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    return stream.getvalue()


def _pixels(
    contents: Sequence[bytes], path: str | Path, channels: Channels
) -> tuple[np.ndarray, Header]:
    """The pixels (H, W, N) of a picture's files, 16 bits as they are stored, and its header."""
    if not channels.is_rgb:
        return channel_files.decoded(contents, path, channels)
    (data,) = contents
    header = image_files.header(data, path)
    if header.deep:
        return _deep_pixels(data, path, header), header
    return _decode(data, path, header, cv2.IMREAD_COLOR_RGB), header


def _scaled(pixels: np.ndarray, header: Header, bits: Bits, path: str | Path) -> np.ndarray:
    return bit_depth.scaled(pixels, bits, path) if header.deep else pixels


def _decode(data: bytes, path: str | Path, header: Header, flags: int) -> np.ndarray:
    """The pixels of 8 bits as OpenCV's `flags` say: RGB (H, W, 3) or grey (H, W)."""
    if header.kind == "TIFF" and header.alpha:  # OpenCV would multiply the colours by alpha
        mode = "L" if flags == cv2.IMREAD_GRAYSCALE else "RGB"
        return np.array(image_files.upright(data, path).convert(mode))
    return image_files.decoded_by(flags, data, path)


def _deep_pixels(data: bytes, path: str | Path, header: Header) -> np.ndarray:
    """RGB (H, W, 3) of 16 bits, upright."""
    if header.planes:  # OpenCV 5.0.0 reads the planes of 16 bits as if they were interleaved
        return tiff_files.read(data, path, Channels(header.planes))[0][..., :3]
    # OpenCV 5.0.0 leaves the pixels of a 16-bit TIFF unset with IMREAD_COLOR_RGB.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    if header.kind == "TIFF" and header.alpha:
        flags = cv2.IMREAD_UNCHANGED
    pixels = image_files.decoded_by(flags, data, path)
    return cv2.cvtColor(pixels[..., :3], cv2.COLOR_BGR2RGB)


def _as_grey(pixels: np.ndarray) -> np.ndarray:
    """Grey (H, W) of 16 bits, of grey or BGR (H, W, 3); equal channels keep their values."""
    return pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)


def _not_binary(grey: np.ndarray, path: str | Path) -> Problem:
    odd, counts = np.unique(grey[(grey != 0) & (grey != 255)], return_counts=True)
    mend = "Was it resized with interpolation, or saved as JPEG? Export it again without."
    if odd.tolist() == [1]:
        mend = "Multiply it by 255."
    what = "the values 0 and 255 only, found others too"
    return Problem(
        path,
        f"a defect mask holds {what}",
        mend,
        f"defect masks must hold {what}",
        {str(value): int(count) for value, count in zip(odd, counts, strict=True)},
    )


def _full_palette(palette: np.ndarray) -> np.ndarray:
    full = np.zeros((256, 3), dtype=np.uint8)
    full[: len(palette)] = palette
    magentas = np.array([(255, green, 255) for green in range(256)], np.uint8)
    full[IGNORE] = magentas[exact_classes(magentas, palette) == IGNORE][0]
    return full
