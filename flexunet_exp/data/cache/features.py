"""Features that a frozen encoder computes once: a file for each view of each picture.

`cache_dir` holds for each encoder a folder features_KEY (16 hex digits): info.json, and files named
by the content of a picture and its view, which hold the encoder's maps one behind the other. A file
appears whole, by renaming. Processes that compute the same file at once write the same content.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from flexunet_exp.errors import InputError
from flexunet_exp.system.files import whole_or_nothing

PREFIX = "features_"
INFO = "info.json"
SHARE_OF_DISK = 0.95  # of the free space, at the most


class Maps(NamedTuple):
    """The maps of a picture: their shapes (h, w, channels) and the type they are kept in."""

    shapes: tuple[tuple[int, ...], ...]
    dtype: np.dtype

    @property
    def bytes(self) -> int:
        return sum(int(np.prod(shape)) for shape in self.shapes) * self.dtype.itemsize


class FeatureCache:
    """The maps of one encoder on disk, by the content of a picture and the view of it."""

    def __init__(self, folder: Path, key: Sequence[object], maps: Maps):
        text = json.dumps([*key, maps.shapes, str(maps.dtype)], sort_keys=True, default=str)
        self.path = folder / f"{PREFIX}{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        self.maps = maps

    def begin(self, dataset: str, missing: int) -> None:
        """Makes the folder; InputError, before anything is written, where the disk is too small."""
        self.path.mkdir(parents=True, exist_ok=True)
        needed = missing * self.maps.bytes
        free = SHARE_OF_DISK * shutil.disk_usage(self.path).free
        if needed > free:
            raise InputError(
                f"The features need {needed / 1e9:.1f} GB in {self.path}, {free / 1e9:.1f} GB are "
                "free. Try fewer augmentation.views, a smaller dataset.image_size, another "
                "cache_dir=FOLDER, or flexunet cache prune=30"
            )
        facts = {
            "dataset": dataset,
            "maps": [list(shape) for shape in self.maps.shapes],
            "dtype": str(self.maps.dtype),
            "built": time.strftime("%Y-%m-%d %H:%M:%S"),
        }
        if not (self.path / INFO).exists():
            (self.path / INFO).write_text(json.dumps(facts, indent=1) + "\n")
        with suppress(OSError):  # a folder of another user may be read-only
            os.utime(self.path / INFO)

    def file(self, name: str) -> Path:
        return self.path / f"{name}.bin"

    def has(self, name: str) -> bool:
        """Whether the maps are there, whole."""
        with suppress(FileNotFoundError):
            return self.file(name).stat().st_size == self.maps.bytes
        return False

    def write(self, name: str, maps: Sequence[np.ndarray]) -> None:
        flat = [np.ascontiguousarray(one, self.maps.dtype).tobytes() for one in maps]
        with whole_or_nothing(self.file(name)) as part:
            Path(part).write_bytes(b"".join(flat))

    def read(self, name: str) -> list[np.ndarray]:
        """The maps of a view, which are read from the file where they are used.

        Raises InputError where the file was truncated or removed meanwhile.
        """
        try:
            flat = np.memmap(self.file(name), self.maps.dtype, mode="r")
        except FileNotFoundError as error:
            raise InputError(
                f"{self.file(name)} was removed while it was in use. Start again."
            ) from error
        sizes = [int(np.prod(shape)) for shape in self.maps.shapes]
        if len(flat) != sum(sizes):
            raise InputError(f"{self.file(name)} was truncated while it was in use. Start again.")
        parts = np.split(flat, np.cumsum(sizes)[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, self.maps.shapes, strict=True)]
