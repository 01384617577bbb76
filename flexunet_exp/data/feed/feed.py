"""From a split data set to the batches of a training: patches or whole pictures."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from flexunet_exp.config import building
from flexunet_exp.data.augmentation import PasteDefect, Transform
from flexunet_exp.data.augmentation.pasting import Donors, bound
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.data.feed import batches, reader, sampling
from flexunet_exp.data.feed.patches import resized
from flexunet_exp.data.feed.reader import Tiles
from flexunet_exp.data.feed.settings import FeedSettings
from flexunet_exp.data.tiles import Pair


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
    transforms = transforms_of(settings, dataset, train)
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


def transforms_of(
    settings: FeedSettings, dataset: Dataset, train: reader.SampleReader
) -> list[Transform]:
    """The augmentation; defects that it pastes come from the training split."""
    transforms = [building.build(node) for node in settings.transforms]
    if not any(isinstance(one, PasteDefect) for one in transforms):
        return transforms
    is_training = (dataset.table["split"] == "train").to_numpy()
    scale = np.divide(settings.size, settings.patch) if settings.patch else None

    def read(row: int) -> Pair:
        image, mask = train(row)
        if scale is None:
            return image, mask
        size = tuple(np.maximum(1, np.round(mask.shape * scale)).astype(int).tolist())
        return resized((image, mask), size)

    shows = dataset.pixels[is_training] > 0
    donors = Donors(read, shows, balanced=settings.sampling == "balanced")
    return bound(transforms, donors)


def steps_per_epoch(settings: FeedSettings, dataset: Dataset) -> int:
    """Batches an epoch of training."""
    return batches.steps_per_epoch(len(sampler(settings, dataset)), settings.batch_size)


def sampler(settings: FeedSettings, dataset: Dataset) -> sampling.Sampler:
    """How the training split's pictures, or patches of them, are drawn."""
    is_training = (dataset.table["split"] == "train").to_numpy()
    options: dict[str, Any] = {"sampling": settings.sampling, "good_share": settings.good_share}
    if settings.patch or settings.feature_patch:
        options |= {"foreground": settings.foreground, "per_image": settings.per_image}
    labels = dataset.table["label"][is_training].tolist()
    return sampling.sampler(labels, dataset.pixels[is_training] > 0, settings.seed, **options)
