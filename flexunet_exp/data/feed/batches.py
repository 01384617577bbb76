"""From rows of the sample table to batches on the device: images and class masks, in tf.data.

Order, patches and augmentation are pure functions of (seed, epoch, picture, turn): neither threads
nor a restart change the batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

from flexunet_exp.data import masks
from flexunet_exp.data.augmentation import Transform, augment
from flexunet_exp.data.feed import patches
from flexunet_exp.data.feed.reader import SampleReader, Tiles
from flexunet_exp.data.feed.sampling import Adaptive, Draw, Sampler
from flexunet_exp.data.tiles import Pair, Size

PATCH_STREAM = 10_000  # number of a random stream; those of the transforms count from 0


@cache
def readers() -> ThreadPoolExecutor:
    """The threads that read samples, because TensorFlow's parallel map is serial if deterministic.

    One pool for all data of the process: TensorFlow keeps a function of an ended training, and its
    threads with it.
    """
    return ThreadPoolExecutor(2)


def training(
    reader: SampleReader,
    sampler: Sampler | Adaptive,
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

    def read(epoch: int, draw: Draw) -> Pair:
        pair, key = reader(draw.row), (sampler.seed, epoch, *draw)
        if patch:
            generator = np.random.default_rng([*key, PATCH_STREAM])
            pair = patches.draw(pair, patch, draw.focus, generator)
        return augment(transforms, *patches.resized(pair, size), key=key)

    steps_left, wanted = drawn(sampler, batch_size, range(first_epoch, epochs))
    return batches(steps_left, wanted, read, images_of(reader, size), size, multiple_of)


def drawn(
    sampler: Sampler | Adaptive, batch_size: int, epochs: range
) -> tuple[range, Callable[[int], list[tuple[int, Draw]]]]:
    """The steps of these epochs, and of a step the epoch and each draw."""
    steps = steps_per_epoch(len(sampler), batch_size)
    # A batch of the next epoch may be requested before the last.
    draws = lru_cache(2)(sampler.epoch)

    def wanted(step: int) -> list[tuple[int, Draw]]:
        epoch, batch = divmod(step, steps)
        chosen = draws(epoch)[batch * batch_size : (batch + 1) * batch_size]
        return [(epoch, draw) for draw in chosen]

    return range(epochs.start * steps, epochs.stop * steps), wanted


def steps_per_epoch(num_samples: int, batch_size: int) -> int:
    """Batches an epoch, the last one smaller if need be."""
    return math.ceil(num_samples / batch_size)


def evaluation(
    reader: SampleReader | Tiles, size: Size, batch_size: int, multiple_of: int = 1
) -> tf.data.Dataset:
    """The reader's samples once, in their order, without augmentation; all of `size`."""
    steps, wanted = in_order(len(reader), batch_size)
    return batches(steps, wanted, reader, images_of(reader, size), size, multiple_of)


def in_order(number: int, batch_size: int) -> tuple[range, Callable[[int], list[tuple[int]]]]:
    """The steps of one pass over so many samples, and of a step the index of each."""

    def indices(step: int) -> list[tuple[int]]:
        stop = min((step + 1) * batch_size, number)
        return [(index,) for index in range(step * batch_size, stop)]

    return range(steps_per_epoch(number, batch_size)), indices


def images_of(reader: SampleReader | Tiles, size: Size) -> tf.TensorSpec:
    return tf.TensorSpec((*size, reader.channels), tf.as_dtype(reader.dtype))


def batches(
    steps: range,
    wanted: Callable[[int], Sequence[tuple[Any, ...]]],
    read: Callable[..., Sequence[np.ndarray]],
    inputs: tf.TensorSpec | tuple[tf.TensorSpec, ...],
    size: Size,
    multiple_of: int,
) -> tf.data.Dataset:
    """One element a step: what the network takes, and masks (B, H, W) uint8 of `size`.

    `inputs` is the shape and the type of one sample: an image (H, W, N), or a tuple of maps, which
    become (B, …) each. `wanted` gives the arguments of `read` for each sample of a step, and `read`
    its inputs and its mask. B is a multiple of `multiple_of`, the number of devices that share a
    batch, since a device without a picture fails. A smaller batch is filled up with its first
    sample, every pixel ignored.
    """
    specs = tf.nest.flatten(inputs)

    def load(step: Any) -> list[np.ndarray]:
        samples = readers().map(lambda arguments: read(*arguments), wanted(int(step)))
        *given, class_masks = map(np.stack, zip(*samples, strict=True))
        lacking = -len(class_masks) % multiple_of
        ignored = np.full((lacking, *size), masks.IGNORE, np.uint8)
        filled = [np.concatenate([one, np.repeat(one[:1], lacking, axis=0)]) for one in given]
        return [*filled, np.concatenate([class_masks, ignored])]

    def load_batch(step: tf.Tensor) -> tuple[Any, tf.Tensor]:
        types = [*(spec.dtype for spec in specs), tf.uint8]
        *given, class_masks = tf.numpy_function(load, [step], types, stateful=False)
        shaped = [
            tf.ensure_shape(one, (None, *spec.shape))
            for one, spec in zip(given, specs, strict=True)
        ]
        return tf.nest.pack_sequence_as(inputs, shaped), tf.ensure_shape(class_masks, (None, *size))

    steps_in_order = tf.data.Dataset.range(steps.start, steps.stop)
    return steps_in_order.map(load_batch).prefetch(2).with_options(untuned())


def untuned() -> tf.data.Options:
    """No autotuning: there is nothing to tune, and its thread can hold up the end of an iterator.

    That thread may miss that the iterator ends, and then sleeps on, for up to a minute (seen with
    TensorFlow 2.21.0; findings/tensorflow_data_iterators_end_late.sh).
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options
