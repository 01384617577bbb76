"""An open volume, and what each format's reader checks before it maps or unpacks anything."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flexunet_exp.data.image_files import MAX_PIXELS
from flexunet_exp.errors import InputError

SUFFIXES = (".nii.gz", ".nii", ".mha", ".npy", ".h5")
MAX_BYTES = 2**36  # of a volume, unpacked
CHUNK = 2**20  # bytes


def suffix_of(path: str | Path) -> str:
    """`.nii.gz` of `scan.NII.gz`; empty where a name is not that of a volume."""
    name = Path(path).name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")


@dataclass(frozen=True)
class Volume:
    """An open volume, of which only the planes that are asked for are read.

    A voxel's value is `slope` × what `voxels` hold + `intercept`. `write` writes a mask (z, y, x),
    uint8, to a path, in the volume's format and with its header.
    """

    path: Path
    voxels: Any  # (z, y, x): a memory map, or a data set of h5py
    write: Callable[[Path, np.ndarray], None]
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def shape(self) -> tuple[int, int, int]:
        return tuple(self.voxels.shape)

    def plane(self, axis: int, index: int) -> np.ndarray:
        """The values (rows, columns) of a slice across an axis; InputError for NaN."""
        try:
            stored = np.asarray(self.voxels[at(axis, index)])
        except Exception as error:  # h5py raises errors of many types for a damaged chunk
            raise InputError(
                f"{self.path}: slice {index} cannot be read; the file is damaged: copy it again."
            ) from error
        if (self.slope, self.intercept) != (1, 0):
            stored = stored * np.float64(self.slope) + self.intercept
        if stored.dtype.kind == "f" and not np.isfinite(stored).all():
            raise InputError(
                f"{self.path}: slice {index} holds NaN or infinite values, expected numbers. "
                "Replace them, for example by the value of air."
            )
        return stored


def at(axis: int, index: int) -> tuple[Any, ...]:
    """The index of a slice across an axis."""
    return (*[slice(None)] * axis, index)


def check(path: Path, shape: Sequence[int], dtype: np.dtype) -> None:
    """Raises InputError unless a header tells of a volume that can be predicted."""
    sides = " × ".join(map(str, shape)) or "a single number"
    if dtype.kind not in "uif":
        raise InputError(f"{path}: holds {told(dtype)}, expected whole or floating-point numbers.")
    if len(shape) != 3:
        raise InputError(
            f"{path}: {len(shape)} axes ({sides}), expected three. Save each channel or time as a "
            "volume of its own, and a single slice as a picture."
        )
    if min(shape) < 1:
        raise InputError(f"{path}: the volume is empty ({sides}), expected voxels on each axis.")
    largest = np.prod(sorted(map(float, shape))[1:])
    if largest > MAX_PIXELS:
        raise InputError(
            f"{path}: slices of up to {largest:,.0f} pixels ({sides}), at most {MAX_PIXELS:,} are "
            "allowed. Is the file damaged? Else cut it into parts."
        )
    if (needed := dtype.itemsize * np.prod(shape, dtype=float)) > MAX_BYTES:
        raise InputError(
            f"{path}: {needed / 2**30:,.0f} GiB of voxels ({sides}), at most {MAX_BYTES >> 30} are "
            "allowed. Is the file damaged? Else cut it into parts."
        )


def told(dtype: np.dtype) -> str:
    if dtype.hasobject:
        return "Python objects, which are never unpacked"
    return "colours" if dtype.names else f"values of the type {dtype}"


@contextmanager
def scratch(shape: Sequence[int], folder: Path) -> Iterator[np.ndarray]:
    """Zeros of uint8 on the disk, in a file that is gone at the end, whatever ends the process.

    The zeros are written, not left out: on a full disk a hole would end the process later, without
    an error.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        left = int(np.prod(shape))
        while left:
            left -= file.write(bytes(min(left, CHUNK)))
        file.flush()
        yield np.memmap(file, np.uint8, "r+", shape=tuple(shape))


def write_planes(file: Any, mask: np.ndarray) -> None:
    """Writes the voxels of a mask (z, y, x), x first, with one plane in memory."""
    for plane in mask:
        file.write(plane.tobytes())
