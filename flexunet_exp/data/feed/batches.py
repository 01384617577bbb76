"""From rows of the sample table to batches on the device: images and class masks, in tf.data.

Order, patches and augmentation are pure functions of (seed, epoch, picture, turn): neither threads
nor a restart change the batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

from flexunet_exp.data import masks
from flexunet_exp.data.augmentation import Transform, augment
from flexunet_exp.data.feed import patches
from flexunet_exp.data.feed.reader import SampleReader, Tiles
from flexunet_exp.data.feed.sampling import Draw, Sampler
from flexunet_exp.data.tiles import Pair, Size

PATCH_STREAM = 10_000  # number of a random stream; those of the transforms count from 0


def training(
    reader: SampleReader,
    sampler: Sampler,
    transforms: Sequence[Transform],
    size: Size,
    batch_size: int,
    epochs: int,
    first_epoch: int = 0,
    multiple_of: int = 1,
    patch: Size | None = None,
) -> tf.data.Dataset:
    """The batches of epochs `first_epoch`..`epochs` - 1 in a row.

    Pictures are `size` (height, width). With `patch` they are patches of so many of the picture's
    own pixels, resized.
    """
    steps = steps_per_epoch(len(sampler), batch_size)
    draws = lru_cache(2)(
        sampler.epoch
    )  # a batch of the next epoch may be requested before the last

    def read(epoch: int, draw: Draw) -> Pair:
        pair, key = reader(draw.row), (sampler.seed, epoch, *draw)
        if patch:
            generator = np.random.default_rng([*key, PATCH_STREAM])
            pair = patches.draw(pair, patch, draw.focus, generator)
        return augment(transforms, *patches.resized(pair, size), key=key)

    def wanted(step: int) -> list[tuple[int, Draw]]:
        epoch, batch = divmod(step, steps)
        chosen = draws(epoch)[batch * batch_size : (batch + 1) * batch_size]
        return [(epoch, draw) for draw in chosen]

    steps_left = range(first_epoch * steps, epochs * steps)
    return batches(steps_left, wanted, read, size, multiple_of, reader.dtype)


def steps_per_epoch(num_samples: int, batch_size: int) -> int:
    """Batches an epoch, the last one smaller if need be."""
    return math.ceil(num_samples / batch_size)


def evaluation(
    reader: SampleReader | Tiles, size: Size, batch_size: int, multiple_of: int = 1
) -> tf.data.Dataset:
    """The reader's samples once, in their order, without augmentation; all of `size`."""

    def indices(step: int) -> list[tuple[int]]:
        stop = min((step + 1) * batch_size, len(reader))
        return [(index,) for index in range(step * batch_size, stop)]

    steps = range(steps_per_epoch(len(reader), batch_size))
    return batches(steps, indices, reader, size, multiple_of, reader.dtype)


def batches(
    steps: range,
    wanted: Callable[[int], Sequence[tuple[Any, ...]]],
    read: Callable[..., Pair],
    size: Size,
    multiple_of: int,
    dtype: str,
) -> tf.data.Dataset:
    """One element a step: images (B, H, W, 3) of `dtype`, masks (B, H, W) uint8.

    `wanted` gives the arguments of `read` for each picture of a step. B is a multiple of
    `multiple_of`, the number of devices that share a batch, since a device without a picture fails.
    A smaller batch is filled up with its first picture, every pixel ignored.
    """

    # A pool of threads, because TensorFlow's parallel map is serial in deterministic runs.
    readers = ThreadPoolExecutor(2)

    def load(step: Any) -> Pair:
        samples = readers.map(lambda arguments: read(*arguments), wanted(int(step)))
        images, class_masks = map(np.stack, zip(*samples, strict=True))
        lacking = -len(images) % multiple_of
        ignored = np.full((lacking, *size), masks.IGNORE, np.uint8)
        images = np.concatenate([images, np.repeat(images[:1], lacking, axis=0)])
        return images, np.concatenate([class_masks, ignored])

    types = (tf.as_dtype(dtype), tf.uint8)

    def load_batch(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, class_masks = tf.numpy_function(load, [step], types, stateful=False)
        return tf.ensure_shape(images, (None, *size, 3)), tf.ensure_shape(
            class_masks, (None, *size)
        )

    steps_in_order = tf.data.Dataset.range(steps.start, steps.stop)
    return steps_in_order.map(load_batch).prefetch(2)
