"""MetaImage (.mha): lines `Key = value`, and behind them the voxels, x first.

https://itk.org/Wiki/ITK/MetaIO/Documentation. A header that names another file for its voxels is
refused: it could name any file of the machine.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np

from flexunet_exp.data.volumes.volume import CHUNK, Volume, check, write_planes
from flexunet_exp.errors import InputError

TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
LAST = "ElementDataFile"
MOST_LINES, LONGEST = 200, 10_000
# What a mask of one byte a voxel has otherwise, or not at all.
OWN = {"ElementType": "MET_UCHAR", "CompressedData": "False"}
LEFT_OUT = (
    "CompressedDataSize",
    "ElementMin",
    "ElementMax",
    "ElementToIntensityFunctionSlope",
    "ElementToIntensityFunctionOffset",
)

Header = dict[str, str]


@contextmanager
def opened(path: Path, folder: Path) -> Iterator[Volume]:
    """A volume while it is open; `folder` is where a compressed one is unpacked."""
    with open(path, "rb") as file:
        header = header_of(file)
        refuse(path, header)
        shape = tuple(int(side) for side in header["DimSize"].split()[::-1])
        check(path, shape, dtype := dtype_of(path, header))
        if not is_true(header, "CompressedData"):
            yield volume(path, header, np.memmap(file, dtype, "r", file.tell(), shape))
            return
        with TemporaryFile(dir=folder) as plain:
            unpack(file, plain, int(np.prod(shape)) * dtype.itemsize)
            yield volume(path, header, np.memmap(plain, dtype, "r", 0, shape))


def volume(path: Path, header: Header, voxels: np.ndarray) -> Volume:
    slope = float(header.get("ElementToIntensityFunctionSlope", 1))
    intercept = float(header.get("ElementToIntensityFunctionOffset", 0))
    return Volume(path, voxels, partial(write, header=header), slope, intercept)


def header_of(file: IO[bytes]) -> Header:
    """The keys of a header, in their order; ValueError where it has no end."""
    header: Header = {}
    for _ in range(MOST_LINES):
        key, equals, value = file.readline(LONGEST).decode("latin-1").partition("=")
        if not equals:
            break
        header[key.strip()] = value.strip()
        if key.strip() == LAST:
            return header
    raise ValueError("no header of MetaImage")


def refuse(path: Path, header: Header) -> None:
    """Raises InputError for what MetaImage can say, and this reader does not read."""
    channels = int(header.get("ElementNumberOfChannels", 1))
    problems = [f"{path}: {LAST} = {header[LAST]}, expected LOCAL: save it as one .mha file."] * (
        header[LAST].upper() != "LOCAL"
    )
    problems += [f"{path}: its voxels are text, expected BinaryData = True: save it so."] * (
        not is_true(header, "BinaryData", default=True)
    )
    problems += [
        f"{path}: {channels} channels a voxel, expected one: save each as a volume of its own."
    ] * (channels != 1)
    if problems:
        raise InputError(problems)


def dtype_of(path: Path, header: Header) -> np.dtype:
    if header["ElementType"] not in TYPES:
        raise InputError(
            f"{path}: ElementType = {header['ElementType']}, expected one of {', '.join(TYPES)}."
        )
    keys = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
    order = ">" if any(is_true(header, key) for key in keys) else "<"
    return np.dtype(order + TYPES[header["ElementType"]])


def is_true(header: Header, key: str, default: bool = False) -> bool:
    return header.get(key, str(default)).lower() in ("true", "1")


def unpack(packed: IO[bytes], file: Any, most: int) -> None:
    """Writes the first bytes of what is compressed into another file."""
    stream, left = zlib.decompressobj(), most
    while left and (data := stream.unconsumed_tail or packed.read(CHUNK)):
        left -= file.write(stream.decompress(data, min(left, CHUNK)))
    for data in (stream.unconsumed_tail, packed.read(CHUNK)):
        if not stream.eof:  # only at its end, zlib compares its checksum
            stream.decompress(data, 1)
    file.flush()


def write(part: Path, mask: np.ndarray, header: Header) -> None:
    """Writes a mask with the keys of its volume's header."""
    kept = {key: value for key, value in header.items() if key not in LEFT_OUT}
    lines = [f"{key} = {OWN.get(key, value)}\n" for key, value in kept.items()]
    with open(part, "wb") as file:
        file.write("".join(lines).encode("latin-1"))
        write_planes(file, mask)
