"""TIFF files of any number of channels: interleaved, one plane a channel, or one grey page each.

OpenCV and Pillow read grey, RGB and RGBA alone. Without an error, OpenCV 5.0.0 reads one of two
channels in 8 bits, and mixes up planes of 16 bits. tifffile reads all of them.
"""

from __future__ import annotations

import io
import logging
import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from flexunet_exp.data import image_files
from flexunet_exp.data.channels import MOST, Channels, other_number
from flexunet_exp.data.image_files import MAX_BYTES, MAX_PIXELS, UPRIGHT, Header
from flexunet_exp.errors import InputError

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two: BigTIFF
UNCOMPRESSED, MIN_IS_BLACK, RGB = 1, 1, 2  # values of the tags Compression and Photometric
REDUCED_OR_MASK = 1 | 4  # bits of the tag NewSubfileType
ORIENTATION = 274
BITS = range(8, 17)
UNPACKERS: dict[int, Callable[[], Any]] = {  # by the values of the tag Compression
    8: zlib.decompressobj,
    32946: zlib.decompressobj,
    34925: lzma.LZMADecompressor,
}
ZLIB_RATIO = 1032  # deflate never unpacks to more
TILE_BYTES = 2**24  # by which a tile at the edge may be larger than its picture

# InputError names a broken file; tifffile's own lines do not.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


def is_tiff(data: bytes) -> bool:
    return data[:4] in MAGIC


def read(data: bytes, path: str | Path, wanted: Channels) -> tuple[np.ndarray, Header]:
    """The pixels (H, W, N) uint8 or uint16 of a file with the channels that are wanted, upright.

    `path` only names the file in an error. Raises InputError where it has another number, other
    values than 8 or 16 bits, or more than MAX_PIXELS, or cannot be decoded.
    """
    with opened(data, path) as file:
        pages = pages_of(file)
        check_kind(pages, path)
        parts = pages if pages[0].samplesperpixel == 1 else pages[:1]
        if (found := channels_of(pages)) != wanted.number:
            raise InputError(other_number(path, found, wanted))
        check_size(parts, len(data), path)
        for page in parts:
            check_unpacked(page, data, path)
        pixels = np.dstack([decoded(page) for page in parts])
        tag = orientation(pages[0])
    upright = image_files.oriented(pixels, tag)
    header = Header(
        "TIFF",
        upright.shape[:2],
        deep=pixels.dtype == np.uint16,
        turned=tag not in UPRIGHT,
        several=len(pages) > len(parts),
    )
    return upright, header


def size(data: bytes, path: str | Path) -> tuple[int, int]:
    """(height, width) as stored, from the header alone."""
    with opened(data, path) as file:
        page = file.pages.first
        return page.imagelength, page.imagewidth


def number_of(data: bytes) -> int:
    """How many channels a file has, from its header alone; 0 where it cannot be read."""
    try:
        with opened(data, "") as file:
            return channels_of(pages_of(file))
    except InputError:
        return 0


@contextmanager
def opened(data: bytes, path: str | Path) -> Iterator[TiffFile]:
    """The file for tifffile; its errors become an InputError that names the file."""
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            yield file
    except InputError:
        raise
    except Exception as error:  # tifffile and its decoders raise errors of many kinds
        raise (needs_codecs(path, error) or image_files.not_an_image(path)) from error


def needs_codecs(path: str | Path, error: Exception) -> InputError | None:
    """What to type where tifffile lacks the decoder of a file's compression."""
    if "imagecodecs" not in str(error):
        return None
    return InputError(
        f"{path}: this compression needs the package imagecodecs. Type python -m pip install "
        "imagecodecs, or save the file without compression or with deflate."
    )


def pages_of(file: TiffFile) -> list[TiffPage]:
    """The first pages, one more than a picture may have channels; no previews and masks."""
    found = cast("list[TiffPage]", list(islice(file.pages, MOST + 1)))
    return [page for page in found if not page.subfiletype & REDUCED_OR_MASK] or found[:1]


def channels_of(pages: Sequence[TiffPage]) -> int:
    """The channels of the first page, or the number of grey pages."""
    samples = pages[0].samplesperpixel
    return samples if samples > 1 else len(pages)


def check_kind(pages: Sequence[TiffPage], path: str | Path) -> None:
    """Raises InputError for other values than plain numbers of 8 or 16 bits, or unequal pages."""
    first = pages[0]
    if first.photometric not in (MIN_IS_BLACK, RGB):
        found = getattr(first.photometric, "name", first.photometric)
        raise InputError(
            f"{path}: a TIFF of colours of the kind {found}, expected grey values of which 0 is "
            "black (MinIsBlack), or RGB: convert it."
        )
    bits = first.bitspersample
    if first.dtype not in (np.uint8, np.uint16) or bits not in BITS or first.imagedepth != 1:
        raise InputError(
            f"{path}: a TIFF of {bits}-bit {first.dtype or 'values'}, expected whole numbers of 8 "
            "or 16 bits, without a sign: convert it."
        )
    forms = {
        (page.imagelength, page.imagewidth, page.samplesperpixel, page.dtype) for page in pages
    }
    if first.samplesperpixel == 1 and len(forms) > 1:
        raise InputError(
            f"{path}: its {len(pages)} pages differ in size or type; pages are channels, which "
            "must be equal in both: save the channels alone."
        )


def check_size(pages: Sequence[TiffPage], length: int, path: str | Path) -> None:
    """Raises InputError for too large a picture, or where the file (`length` bytes) is cut off."""
    pixels = pages[0].imagelength * pages[0].imagewidth
    if not 0 < pixels <= MAX_PIXELS or sum(page.nbytes for page in pages) > MAX_BYTES:
        raise InputError(
            f"{path}: a picture of {pages[0].imagewidth:,} x {pages[0].imagelength:,} pixels, at "
            f"most {MAX_PIXELS:,} pixels and {MAX_BYTES / 2**30:.0f} GiB are allowed. Cut it into "
            "parts."
        )
    for page in pages:
        places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        is_whole = all(start and count and start + count <= length for start, count in places)
        if page.compression == UNCOMPRESSED:
            needed = pixels * page.samplesperpixel * page.bitspersample // 8
            is_whole = is_whole and sum(count for _, count in places) >= needed
        if not (places and is_whole):
            raise image_files.not_an_image(path)


def check_unpacked(page: TiffPage, data: bytes, path: str | Path) -> None:
    """Raises InputError where a compressed part is larger than the page, before it is unpacked.

    tifffile without imagecodecs unpacks without a limit.
    """
    unpacker = UNPACKERS.get(int(page.compression))
    most = page.nbytes + TILE_BYTES
    for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if unpacker is None or (unpacker is zlib.decompressobj and count * ZLIB_RATIO <= most):
            continue
        if len(unpacker().decompress(data[start : start + count], most + 1)) > most:
            raise InputError(f"{path}: unpacks to more than its pixels need: export it again.")


def decoded(page: TiffPage) -> np.ndarray:
    """The pixels (H, W, N) of a page, its planes or its interleaved channels."""
    planes = page.asarray(squeeze=False, maxworkers=1)[:, 0]  # (planes, H, W, samples)
    pixels = np.moveaxis(planes, 0, 2).reshape(*planes.shape[1:3], -1)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def orientation(page: TiffPage) -> int | None:
    tag = page.tags.get(ORIENTATION)
    return tag.value if tag else None
