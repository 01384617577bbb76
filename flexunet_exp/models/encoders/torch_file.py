"""Reads the tensors of a legacy torch file (before torch 1.6) with NumPy: no torch, no code run.

The file is four pickles (a magic number, a version, facts of the machine, a mapping of names to
descriptions of tensors), a pickled list of storage keys, and for each key the number of its values
(int64) and the values. An unpickler admits nothing but the functions that describe a tensor.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from flexunet_exp.errors import InputError

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
TYPES = {"FloatStorage": "<f4", "LongStorage": "<i8", "HalfStorage": "<f2", "DoubleStorage": "<f8"}


class Tensor(NamedTuple):
    """A tensor as the file describes it."""

    key: str  # of its storage
    dtype: str
    offset: int  # values
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Described(pickle.Unpickler):
    """Unpickles descriptions of tensors; InputError for anything else."""

    def __init__(self, file: BinaryIO, path: Path):
        super().__init__(file)
        self.path = path

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return described
        if module == "torch" and name in TYPES:
            return TYPES[name]
        raise InputError(
            f"{self.path}: the file holds {module}.{name}, which is no part of a tensor. It is not "
            "read. Use the file of the package that encoder_weights=imagenet names."
        )

    def persistent_load(self, pid: Any) -> Any:
        kind, dtype, key, *_ = pid
        if kind != "storage":
            raise InputError(
                f"{self.path}: the file holds a {kind}, expected the storage of a tensor."
            )
        return str(key), dtype


def described(
    storage: tuple[str, str], offset: int, shape: tuple, strides: tuple, *_: Any
) -> Tensor:
    return Tensor(*storage, offset, tuple(shape), tuple(strides))


def tensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file by name, in its order; InputError where it is damaged or no such file.

    Check the file's sha256 first.
    """
    try:
        with open(path, "rb") as file:
            return read(file, path)
    except InputError:
        raise
    except (OSError, pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path} is damaged, or no weights file of torch before 1.6 ({error}). Install the "
            "package it came from once more."
        ) from error


def read(file: BinaryIO, path: Path) -> dict[str, np.ndarray]:
    if [unpickled(file, path) for _ in range(2)] != [MAGIC, VERSION]:
        raise ValueError("it begins with another number")
    unpickled(file, path)  # facts of the machine that wrote it
    found, keys = unpickled(file, path), unpickled(file, path)
    refuse_other(found, path)
    types = {tensor.key: tensor.dtype for tensor in found.values()}
    storages = {key: values(file, types[key]) for key in keys}
    return {name: of_storage(tensor, storages[tensor.key]) for name, tensor in found.items()}


def refuse_other(found: Any, path: Path) -> None:
    """Raises InputError for what is no mapping of names to tensors."""
    entries = found.items() if isinstance(found, dict) else [("", found)]
    for name, one in entries:
        if not (isinstance(name, str) and isinstance(one, Tensor)):
            held = f"{name!r}: {type(one).__name__}" if name else f"a {type(one).__name__}"
            raise InputError(
                f"{path}: the file holds {held}, expected the tensors of a network by name. Of the "
                "checkpoint of a training, save the network alone: torch.save(checkpoint"
                "['state_dict'], FILE, _use_new_zipfile_serialization=False)"
            )


def unpickled(file: BinaryIO, path: Path) -> Any:
    return Described(file, path).load()


def values(file: BinaryIO, dtype: str) -> np.ndarray:
    """The next storage of the file, (N,)."""
    (number,) = np.frombuffer(file.read(8), "<i8")
    data = file.read(int(number) * np.dtype(dtype).itemsize)
    return np.frombuffer(data, dtype, int(number))


def of_storage(tensor: Tensor, storage: np.ndarray) -> np.ndarray:
    """A tensor of a storage; ValueError where it does not lie within."""
    reach = [(side - 1) * step for side, step in zip(tensor.shape, tensor.strides, strict=True)]
    if min([tensor.offset, *tensor.shape, *tensor.strides], default=0) < 0:
        raise ValueError("a tensor has negative sides")
    if tensor.offset + sum(reach) >= len(storage):
        raise ValueError("a tensor ends behind its storage")
    first = storage[tensor.offset :]
    steps = [step * storage.itemsize for step in tensor.strides]
    return np.lib.stride_tricks.as_strided(first, tensor.shape, steps, writeable=False).copy()
