"""From rows of the sample table to batches on the device: uint8 images and class masks, in tf.data.

Order and augmentation are pure functions of (seed, epoch, index): neither threads nor a restart
change what the network sees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from flexunet_exp.data import masks
from flexunet_exp.data.augmentation import Transform, augment
from flexunet_exp.data.dataset import Dataset, rows
from flexunet_exp.data.disk_cache import DiskCache

Size = tuple[int, int]


class SampleReader:
    """Reads and resizes row `index` of a table; with cache "memory" only once.

    With "disk" it reads from the entry of the whole data set in the folder `cache_dir`.
    """

    def __init__(
        self,
        dataset: Dataset,
        table: pd.DataFrame,
        size: Size,
        cache: str = "none",
        cache_dir: Path = Path("cache"),
    ):
        self.dataset, self.size = dataset, size
        self.disk = DiskCache(dataset, size, cache_dir) if cache == "disk" else None
        self.samples = list(rows(table))
        self.cache: dict[int, tuple[np.ndarray, np.ndarray]] | None = (
            {} if cache == "memory" else None
        )

    def __len__(self) -> int:
        return len(self.samples)

    def __call__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if self.cache is None:
            return self.read(index)
        if index not in self.cache:
            self.cache[index] = self.read(index)
        return self.cache[index]

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        sample = self.samples[index]
        return self.disk.read(sample) if self.disk else self.dataset.read(sample, self.size)


def training(
    reader: SampleReader,
    transforms: Sequence[Transform],
    batch_size: int,
    seed: int,
    epochs: int,
    first_epoch: int = 0,
    multiple_of: int = 1,
) -> tuple[tf.data.Dataset, int]:
    """The batches of epochs `first_epoch`..`epochs` - 1 in a row, and how many an epoch has."""
    steps = steps_per_epoch(len(reader), batch_size)

    def read(epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        return augment(transforms, *reader(index), key=(seed, epoch, index))

    def indices(step: int) -> list[tuple[int, int]]:
        epoch, batch = divmod(step, steps)
        chosen = order(seed, epoch, len(reader))[batch * batch_size : (batch + 1) * batch_size]
        return [(epoch, int(index)) for index in chosen]

    wanted = range(first_epoch * steps, epochs * steps)
    return batches(wanted, indices, read, reader.size, multiple_of), steps


def steps_per_epoch(num_samples: int, batch_size: int) -> int:
    """Batches an epoch, the last one smaller if need be."""
    return math.ceil(num_samples / batch_size)


def evaluation(reader: SampleReader, batch_size: int, multiple_of: int = 1) -> tf.data.Dataset:
    """The reader's samples once, in their order, without augmentation."""

    def indices(step: int) -> list[tuple[int]]:
        stop = min((step + 1) * batch_size, len(reader))
        return [(index,) for index in range(step * batch_size, stop)]

    steps = range(steps_per_epoch(len(reader), batch_size))
    return batches(steps, indices, reader, reader.size, multiple_of)


def order(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order of the samples in an epoch, a permutation of 0..count-1."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def batches(
    steps: range,
    indices: Callable[[int], Sequence[tuple[int, ...]]],
    read: Callable[..., tuple[np.ndarray, np.ndarray]],
    size: Size,
    multiple_of: int,
) -> tf.data.Dataset:
    """One element a step: images (B, H, W, 3) uint8, masks (B, H, W) uint8.

    B is a multiple of `multiple_of`, the number of devices a batch is divided among: one without a
    picture would fail. What a batch lacks is filled with its first picture, every pixel ignored.
    """

    # Threads of our own: TensorFlow's parallel map becomes a serial one in deterministic runs.
    readers = ThreadPoolExecutor(2)

    def load(step: Any) -> tuple[np.ndarray, np.ndarray]:
        samples = readers.map(lambda arguments: read(*arguments), indices(int(step)))
        images, class_masks = map(np.stack, zip(*samples, strict=True))
        lacking = -len(images) % multiple_of
        ignored = np.full((lacking, *size), masks.IGNORE, np.uint8)
        images = np.concatenate([images, np.repeat(images[:1], lacking, axis=0)])
        return images, np.concatenate([class_masks, ignored])

    def load_batch(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, class_masks = tf.numpy_function(load, [step], (tf.uint8, tf.uint8), stateful=False)
        return tf.ensure_shape(images, (None, *size, 3)), tf.ensure_shape(
            class_masks, (None, *size)
        )

    steps_in_order = tf.data.Dataset.range(steps.start, steps.stop)
    return steps_in_order.map(load_batch).prefetch(2)
