"""A data set of an HDF5 file (.h5), by the package h5py, which Keras needs as well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from flexunet_exp.data.volumes.volume import Volume, check
from flexunet_exp.errors import InputError, did_you_mean

LISTED = 10  # data sets in a message


@contextmanager
def opened(path: Path, key: str) -> Iterator[Volume]:
    """The data set `key` while it is open.

    Raises InputError without it, or if its voxels are in other files.
    """
    with h5py.File(path, "r") as file:
        found = file.get(key) if leads_inside(file, key) else None
        if not isinstance(found, h5py.Dataset):
            raise InputError(no_data_set(path, file, key))
        if found.external or found.is_virtual:
            raise InputError(
                f"{path}: the voxels of {key!r} lie in other files, which are not opened. Save "
                "them in one file."
            )
        check(path, found.shape or (), found.dtype)
        yield Volume(path, found, partial(write, key=key, source=found))


def leads_inside(file: h5py.File, key: str) -> bool:
    """Whether no part of a path is a link to another file."""
    parts = [part for part in key.split("/") if part]
    for number in range(1, len(parts) + 1):
        link = file.get("/".join(parts[:number]), getlink=True)
        if not isinstance(link, h5py.HardLink):  # a soft link may lead to one out of the file
            return False
    return bool(parts)


def no_data_set(path: Path, file: h5py.File, key: str) -> str:
    names: list[str] = []

    def seen(name: str, one: Any) -> bool | None:
        names.extend([name] if isinstance(one, h5py.Dataset) else [])
        return True if len(names) == LISTED else None

    file.visititems(seen)
    shown = ", ".join(names) or "none"
    return (
        f"{path}: no data set {key!r} in the file itself; its data sets: {shown}."
        f"{did_you_mean(key, names)} Type volume.key=NAME"
    )


def write(part: Path, mask: np.ndarray, key: str, source: h5py.Dataset) -> None:
    """Writes a mask under the same name, with the attributes that are numbers or texts."""
    with h5py.File(part, "w") as file:
        chunks = (1, *mask.shape[1:])
        made = file.create_dataset(key, mask.shape, "u1", chunks=chunks, compression="gzip")
        for name, value in source.attrs.items():
            if isinstance(value, str) or np.asarray(value).dtype.kind in "biufSU":
                made.attrs[name] = value
        for index, plane in enumerate(mask):
            made[index] = plane
