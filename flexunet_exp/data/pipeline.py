"""From rows of the sample table to batches on the device: uint8 images and class masks, in tf.data.

Order and augmentation are pure functions of (seed, epoch, index): neither threads nor a restart
change what the network sees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from flexunet_exp.data import masks
from flexunet_exp.data.augment import Transform, augment
from flexunet_exp.data.dataset import Dataset, rows

Size = tuple[int, int]


class SampleReader:
    """Reads and resizes row `index` of a table; with cache "memory" only once."""

    def __init__(self, dataset: Dataset, table: pd.DataFrame, size: Size, cache: str = "none"):
        self.dataset, self.size = dataset, size
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
        image, mask = self.dataset.read(self.samples[index])
        return masks.resize_image(image, self.size), masks.resize_mask(mask, self.size)


def training(
    reader: SampleReader, transforms: Sequence[Transform], batch_size: int, seed: int, epochs: int
) -> tuple[tf.data.Dataset, int]:
    """All epochs of training batches, one after the other, and the number of batches an epoch."""
    steps = math.ceil(len(reader) / batch_size)

    def read(epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        return augment(transforms, *reader(index), key=(seed, epoch, index))

    def indices(step: int) -> list[tuple[int, int]]:
        epoch, batch = divmod(step, steps)
        chosen = order(seed, epoch, len(reader))[batch * batch_size : (batch + 1) * batch_size]
        return [(epoch, int(index)) for index in chosen]

    return batches(epochs * steps, indices, read, reader.size), steps


def evaluation(reader: SampleReader, batch_size: int) -> tf.data.Dataset:
    """The reader's samples once, in their order, without augmentation."""

    def indices(step: int) -> list[tuple[int]]:
        stop = min((step + 1) * batch_size, len(reader))
        return [(index,) for index in range(step * batch_size, stop)]

    return batches(math.ceil(len(reader) / batch_size), indices, reader, reader.size)


def order(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order of the samples in an epoch, a permutation of 0..count-1."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def batches(
    steps: int,
    indices: Callable[[int], Sequence[tuple[int, ...]]],
    read: Callable[..., tuple[np.ndarray, np.ndarray]],
    size: Size,
) -> tf.data.Dataset:
    """One element a step: images (B, H, W, 3) uint8, masks (B, H, W) uint8."""

    def load(step: Any) -> tuple[np.ndarray, np.ndarray]:
        images, class_masks = zip(
            *(read(*arguments) for arguments in indices(int(step))), strict=True
        )
        return np.stack(images), np.stack(class_masks)

    def load_batch(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, class_masks = tf.numpy_function(load, [step], (tf.uint8, tf.uint8), stateful=False)
        return tf.ensure_shape(images, (None, *size, 3)), tf.ensure_shape(
            class_masks, (None, *size)
        )

    steps_in_order = tf.data.Dataset.range(steps)
    loaded = steps_in_order.map(load_batch, num_parallel_calls=2, deterministic=True)
    return loaded.prefetch(2)
