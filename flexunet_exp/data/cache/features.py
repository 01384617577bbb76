"""Features that a frozen encoder computes once: a file for each view of each picture.

A file is named by the content of the picture and the view, and holds the encoder's maps one behind
the other. It appears whole, by renaming. One process computes what a folder lacks, while others
that lack something of it wait.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import weakref
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flexunet_exp.data.cache import entry, feature_folders
from flexunet_exp.errors import InputError
from flexunet_exp.system import locks
from flexunet_exp.system.files import whole_or_nothing

SHARE_OF_DISK = 0.95  # of the free space, at the most
WAITING = "Waiting for another process that computes features"


class Maps(NamedTuple):
    """The maps of a picture: their shapes (h, w, channels) and the type they are kept in."""

    shapes: tuple[tuple[int, ...], ...]
    dtype: np.dtype

    @property
    def bytes(self) -> int:
        return sum(int(np.prod(shape)) for shape in self.shapes) * self.dtype.itemsize


class FeatureCache:
    """The maps of one encoder on disk, by the content of a picture and the view of it.

    `facts` are for a person who lists the cache.
    """

    def __init__(self, folder: Path, key: Sequence[object], maps: Maps, facts: dict[str, Any]):
        text = json.dumps([*key, maps.shapes, str(maps.dtype)], sort_keys=True, default=str)
        name = f"{feature_folders.PREFIX}{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        self.path = folder / name
        self.maps = maps
        self.facts = {**facts, "dtype": str(maps.dtype)}

    def open(self, dataset: str) -> None:
        """Makes the folder, which no process prunes until this object ends."""
        with self.advice():
            lock = feature_folders.hold(self.path)
            weakref.finalize(self, lock.close)
            feature_folders.record(self.path, dataset, self.facts)

    @contextmanager
    def computing(self, names: Collection[str]) -> Iterator[set[str]]:
        """Those of the names that lack, which no other process computes meanwhile.

        Waits for a process that computes some. Raises InputError where the disk is too small.
        """
        missing = self.missing(names)
        with ExitStack() as held:
            if missing:
                with self.advice():
                    lock = locks.temporary(entry.lock_of(self.path), locks.FOREVER, WAITING)
                    held.enter_context(lock)
                missing = self.missing(names)
                self.refuse_if_full(len(missing))
            if not missing:
                held.close()
            yield missing

    def missing(self, names: Collection[str]) -> set[str]:
        return {name for name in names if not self.has(name)}

    def refuse_if_full(self, missing: int) -> None:
        """Raises InputError, before anything is written, where the disk has too little space."""
        needed = missing * self.maps.bytes
        free = SHARE_OF_DISK * shutil.disk_usage(self.path).free
        if needed > free:
            raise InputError(
                f"The features need {needed / 1e9:.3g} GB in {self.path}, {free / 1e9:.3g} GB are "
                "free. Try fewer augmentation.views, a smaller dataset.image_size, another "
                "cache_dir=FOLDER, or flexunet cache prune=30"
            )

    def file(self, name: str) -> Path:
        return self.path / f"{name}.bin"

    def has(self, name: str) -> bool:
        """Whether the maps are there, whole."""
        with suppress(FileNotFoundError):
            return self.file(name).stat().st_size == self.maps.bytes
        return False

    def write(self, name: str, maps: Sequence[np.ndarray]) -> None:
        """Keeps the maps of a view. Raises InputError where their type or the disk is too small."""
        try:
            with np.errstate(over="raise"):
                flat = [np.ascontiguousarray(one, self.maps.dtype).tobytes() for one in maps]
        except FloatingPointError as error:
            raise InputError(
                f"The encoder's features are too large for {self.maps.dtype}. Type "
                "dataset.feature_type=bfloat16"
            ) from error
        with self.advice(), whole_or_nothing(self.file(name)) as part:
            part.write_bytes(b"".join(flat))

    @contextmanager
    def advice(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"The features in {self.path} cannot be written ({error.strerror}). Files that are "
                "whole are kept. Make space, for example by flexunet cache prune=30, and give the "
                "same command again; or use another place with cache_dir=FOLDER"
            ) from error

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
