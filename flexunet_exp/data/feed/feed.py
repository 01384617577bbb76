"""From a split data set to the batches of a training: patches or whole pictures."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from flexunet_exp.config import building
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.data.feed import batches, reader, sampling
from flexunet_exp.data.feed.reader import Tiles
from flexunet_exp.data.feed.settings import FeedSettings


class Feed(NamedTuple):
    """Batches as `batches.batches` describes them."""

    training: tf.data.Dataset  # the epochs that are left, in a row
    steps: int  # batches an epoch
    drawn: int  # pictures, or patches, an epoch
    validation: tf.data.Dataset


def feed(
    settings: FeedSettings,
    dataset: Dataset,
    first_epoch: int = 0,
    multiple_of: int = 1,
    dtype: str = "uint8",
) -> Feed:
    """Training and validation batches, from epoch `first_epoch` on; images of the type `dtype`.

    Raises InputError where the sampling or the cache does not fit the data.
    """
    size, patch, batch_size = settings.size, settings.patch, settings.batch_size
    train, valid = (
        reader.SampleReader(
            *(dataset, dataset.split(name), None if patch else size),
            *(settings.cache, settings.cache_dir, dtype),
        )
        for name in ("train", "valid")
    )
    draws = sampler(settings, dataset)
    transforms = [building.build(node) for node in settings.transforms]
    validated = Tiles(valid, patch, size) if patch else valid
    return Feed(
        batches.training(
            *(train, draws, transforms, size, batch_size, settings.epochs),
            *(first_epoch, multiple_of, patch),
        ),
        batches.steps_per_epoch(len(draws), batch_size),
        len(draws),
        batches.evaluation(validated, size, settings.valid_batch_size, multiple_of),
    )


def steps_per_epoch(settings: FeedSettings, dataset: Dataset) -> int:
    """Batches an epoch of training."""
    return batches.steps_per_epoch(len(sampler(settings, dataset)), settings.batch_size)


def sampler(settings: FeedSettings, dataset: Dataset) -> sampling.Sampler:
    """How the training split's pictures, or patches of them, are drawn."""
    is_training = (dataset.table["split"] == "train").to_numpy()
    options: dict[str, Any] = {"sampling": settings.sampling, "good_share": settings.good_share}
    if settings.patch:
        options |= {"foreground": settings.foreground, "per_image": settings.per_image}
    labels = dataset.table["label"][is_training].tolist()
    return sampling.sampler(labels, dataset.pixels[is_training] > 0, settings.seed, **options)
