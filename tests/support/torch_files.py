"""Writes weights files as torch did before 1.6, without torch."""

from __future__ import annotations

import io
import pickle
import sys
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


def stand_ins() -> dict[str, ModuleType]:
    """Modules in which pickle finds the names that such a file has."""
    torch, inner = ModuleType("torch"), ModuleType("torch._utils")
    for name in ("FloatStorage", "LongStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch", "__qualname__": name}))

    def rebuild(*_: Any) -> None: ...

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    inner._rebuild_tensor_v2 = rebuild  # type: ignore[attr-defined]
    return {"torch": torch, "torch._utils": inner}


class Tensor:
    """A tensor to be written: its storage in memory, and how the tensor lies in it."""

    def __init__(self, values: np.ndarray, order: tuple[int, ...] | None = None):
        """`order` are the axes from the slowest in memory to the fastest."""
        order = order or tuple(range(values.ndim))
        self.storage = np.ascontiguousarray(values.transpose(order)).ravel()
        self.shape = values.shape
        strides = np.empty(values.ndim, int)
        strides[list(order)] = [
            int(np.prod([values.shape[axis] for axis in order[place + 1 :]]))
            for place in range(values.ndim)
        ]
        self.strides = tuple(strides.tolist())

    def __reduce__(self) -> tuple:
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (self.storage, 0, self.shape, self.strides, False, OrderedDict())


def write(path: Path, tensors: Mapping[str, np.ndarray | Tensor], extra: Any = None) -> Path:
    """Writes the tensors by name; `extra` is an object more, under the name `extra`."""
    wrapped = OrderedDict(
        (name, one if isinstance(one, Tensor) else Tensor(one)) for name, one in tensors.items()
    )
    keys = {id(one.storage): str(place) for place, one in enumerate(wrapped.values())}
    if extra is not None:
        wrapped["extra"] = extra
    with mock.patch.dict(sys.modules, stand_ins()):

        class Pickler(pickle.Pickler):
            def persistent_id(self, value: Any) -> Any:
                if not isinstance(value, np.ndarray):
                    return None
                kind = "LongStorage" if value.dtype == np.int64 else "FloatStorage"
                storage = getattr(sys.modules["torch"], kind)
                return ("storage", storage, keys[id(value)], "cpu", value.size, None)

        stream = io.BytesIO()
        for part in (MAGIC, VERSION, {"little_endian": True}, wrapped, list(keys.values())):
            Pickler(stream, 2).dump(part)
    for one in wrapped.values():
        if isinstance(one, Tensor):
            stream.write(np.int64(one.storage.size).tobytes() + one.storage.tobytes())
    path.write_bytes(stream.getvalue())
    return path
