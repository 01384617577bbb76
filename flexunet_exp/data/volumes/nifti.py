"""NIfTI (.nii, .nii.gz): its header by the package nibabel, its voxels from a memory map."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from flexunet_exp.data.volumes.volume import CHUNK, Volume, check, write_planes
from flexunet_exp.errors import InputError

NIFTI_2 = 540  # bytes of its header, which its first number says


@contextmanager
def opened(path: Path, folder: Path) -> Iterator[Volume]:
    """A volume while it is open; `folder` is where a compressed one is unpacked."""
    if path.suffix.lower() != ".gz":
        with open(path, "rb") as file:
            yield volume(path, file, header_of(file, path))
        return
    with gzip.open(path) as packed, TemporaryFile(dir=folder) as file:
        header = header_of(packed, path)
        unpack(packed, file, header.get_data_offset() + num_bytes(path, header))
        yield volume(path, file, header)


def volume(path: Path, file: Any, header: Any) -> Volume:
    """The volume in a file that is not compressed."""
    num_bytes(path, header)
    start, dtype = header.get_data_offset(), header.get_data_dtype()
    slope, intercept = header.get_slope_inter()
    return Volume(
        path,
        np.memmap(file, dtype, "r", start, shape_of(header), "F").T,
        partial(write, header=header),
        1.0 if slope is None else slope,
        intercept or 0.0,
    )


def shape_of(header: Any) -> tuple[int, ...]:
    """The sides (x, y, z); a fourth axis of one time or one channel is left out."""
    shape = header.get_data_shape()
    return shape[:3] if all(side == 1 for side in shape[3:]) else shape


def num_bytes(path: Path, header: Any) -> int:
    """Bytes of the voxels; InputError where these cannot be predicted."""
    shape, dtype = shape_of(header), header.get_data_dtype()
    check(path, shape[::-1], dtype)
    return int(np.prod(shape)) * dtype.itemsize


def header_of(file: Any, path: Path) -> Any:
    """The header of a file of NIfTI-1 or NIfTI-2, with its extensions."""
    try:
        import nibabel
    except ImportError:
        raise InputError(
            f"{path}: NIfTI is read by the package nibabel, which is not installed: pip install "
            "nibabel"
        ) from None
    first = file.read(4)
    file.seek(0)
    second = NIFTI_2 in (*struct.unpack("<i", first), *struct.unpack(">i", first))
    kind = nibabel.Nifti2Header if second else nibabel.Nifti1Header
    with nibabel.imageglobals.LoggingOutputSuppressor():  # its lines name no file
        return kind.from_fileobj(file)


def unpack(packed: gzip.GzipFile, file: Any, most: int) -> None:
    """Writes the first bytes of a compressed file into another."""
    packed.seek(0)
    left = most
    while left and (data := packed.read(min(left, CHUNK))):
        left -= file.write(data)
    # Only at its end, gzip compares its checksum; a file without end is read twice as far at most.
    for _ in range(1 + most // CHUNK):
        if not packed.read(CHUNK):
            break
    file.flush()


def write(part: Path, mask: np.ndarray, header: Any) -> None:
    """Writes a mask with the header of its volume, and values that are not scaled."""
    own = header.copy()
    own.set_data_dtype(np.uint8)
    own.set_slope_inter(1, 0)
    own["cal_min"] = own["cal_max"] = 0  # how grey values are shown
    own.set_data_offset(0)  # write_to computes it
    file: Any
    with gzip.open(part, "wb") if part.suffix == ".gz" else open(part, "wb") as file:
        own.write_to(file)
        file.write(bytes(own.get_data_offset() - file.tell()))
        write_planes(file, mask)
