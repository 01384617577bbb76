"""Reads pictures and masks of a sample table, whole or as tiles, with or without a cache."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from threading import Lock

import pandas as pd

from flexunet_exp.data import grey_levels, masks
from flexunet_exp.data.cache.disk_cache import DiskCache
from flexunet_exp.data.dataset import Dataset, rows
from flexunet_exp.data.feed.patches import cut, repeated, resized
from flexunet_exp.data.tiles import Pair, Size, starts
from flexunet_exp.errors import InputError

READ_AT_ONCE = 4  # pictures kept while their tiles are taken one after the other


class Tiles:
    """All pictures of a reader as tiles that count each pixel once, for validation.

    The part of a tile that the tile before it in its row or column also shows is ignored (255).
    `reader` gives pictures at their own size. Tiles are `patch` (height, width) of their pixels,
    resized to `size` as in training.
    """

    def __init__(self, reader: SampleReader, patch: Size, size: Size):
        self.patch, self.size = patch, size
        self.places = [
            (index, top, left)
            for index, sample in enumerate(reader.samples)
            for top in starts(sample.height, patch[0], 0)
            for left in starts(sample.width, patch[1], 0)
        ]
        self.dtype, self.channels = reader.dtype, reader.channels
        self.read = lru_cache(READ_AT_ONCE)(reader)
        self.lock = Lock()  # else two threads that begin a picture would both decode it

    def __len__(self) -> int:
        return len(self.places)

    def __call__(self, number: int) -> Pair:
        index, top, left = self.places[number]
        with self.lock:
            image, mask = self.read(index)
        tile, truth = cut(image, mask, (top, left), self.patch)
        truth[: repeated(top, mask.shape[0], self.patch[0])] = masks.IGNORE
        truth[:, : repeated(left, mask.shape[1], self.patch[1])] = masks.IGNORE
        return resized((tile, truth), self.size)


class SampleReader:
    """Reads row `index` of a table, resized to `size` or, where it is None, at its own size.

    Images have the type `dtype`, uint8 or uint16. The cache "memory" reads each row once. The cache
    "disk" reads from the entry of the whole data set in the folder `cache_dir`, which holds
    pictures of one size only: InputError where `size` is None and the pictures differ in size.
    """

    def __init__(
        self,
        dataset: Dataset,
        table: pd.DataFrame,
        size: Size | None,
        cache: str = "none",
        cache_dir: Path = Path("cache"),
        dtype: str = "uint8",
    ):
        self.dataset, self.size, self.dtype = dataset, size, dtype
        self.channels = dataset.channels.number
        self.disk = None
        if cache == "disk":
            self.disk = DiskCache(dataset, size or the_one_size(dataset.table), cache_dir)
        self.samples = list(rows(table))
        self.cache: dict[int, Pair] | None = {} if cache == "memory" else None

    def __len__(self) -> int:
        return len(self.samples)

    def __call__(self, index: int) -> Pair:
        if self.cache is None:
            return self.read(index)
        if index not in self.cache:
            self.cache[index] = self.read(index)
        return self.cache[index]

    def release(self) -> None:
        """Forgets the pictures in memory; they are read again if asked for."""
        if self.cache is not None:
            self.cache.clear()

    def read(self, index: int) -> Pair:
        sample = self.samples[index]
        pair = self.disk.read(sample) if self.disk else self.dataset.read(sample, self.size)
        return grey_levels.converted(pair[0], self.dtype), pair[1]


def the_one_size(table: pd.DataFrame) -> Size:
    """The (height, width) of all pictures; InputError where they differ."""
    sizes = table[["height", "width"]].drop_duplicates()
    if len(sizes) > 1:
        raise InputError(
            f"dataset.cache=disk keeps pictures of one size. With dataset.patch.size they keep "
            f"their own sizes, of which there are {len(sizes)}. Use dataset.cache=memory, or none."
        )
    return tuple(sizes.iloc[0].tolist())
