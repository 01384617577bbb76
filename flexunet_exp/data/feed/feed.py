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
from flexunet_exp.data.feed.good_share import ADAPTIVE, START, ShareOf
from flexunet_exp.data.feed.patches import resized
from flexunet_exp.data.feed.reader import Tiles
from flexunet_exp.data.feed.settings import FeedSettings
from flexunet_exp.data.tiles import Pair
from flexunet_exp.errors import InputError


class Feed(NamedTuple):
    """Batches as `batches.batches` describes them."""

    training: tf.data.Dataset  # the epochs that are left, in a row
    steps: int  # batches an epoch
    drawn: int  # pictures, or patches, an epoch
    validation: tf.data.Dataset
    readers: tuple[reader.SampleReader, ...] = ()

    def release(self) -> None:
        """Frees the pictures that `dataset.cache=memory` keeps.

        TensorFlow keeps the function of `tf.numpy_function`, and so the readers, for as long as the
        process lives: without this, the next training of a sweep would have them in memory, too.
        """
        for one in self.readers:
            one.release()


def feed(
    settings: FeedSettings,
    dataset: Dataset,
    first_epoch: int = 0,
    multiple_of: int = 1,
    dtype: str = "uint8",
    share_of: ShareOf | None = None,
) -> Feed:
    """Training and validation batches, from epoch `first_epoch` on; images of the type `dtype`.

    `share_of` gives the share of good pictures of each epoch, if `good_share` is adaptive.
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
    draws = sampler(settings, dataset, share_of)
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
        (train, valid),
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


def sampler(
    settings: FeedSettings, dataset: Dataset, share_of: ShareOf | None = None
) -> sampling.Sampler | sampling.Adaptive:
    """How the training split's pictures, or patches of them, are drawn.

    Raises InputError where an adaptive share lacks validation pictures without a defect.
    """
    if settings.good_share == ADAPTIVE:
        check_validated(dataset)
        return sampling.Adaptive(
            lambda share: sampler_of(share, settings, dataset), share_of or (lambda epoch: START)
        )
    assert not isinstance(settings.good_share, str)
    return sampler_of(settings.good_share, settings, dataset)


def sampler_of(
    good_share: float | None, settings: FeedSettings, dataset: Dataset
) -> sampling.Sampler:
    """The sampler with one share of good pictures in all epochs."""
    is_training = (dataset.table["split"] == "train").to_numpy()
    options: dict[str, Any] = {"sampling": settings.sampling, "good_share": good_share}
    if settings.patch or settings.feature_patch:
        options |= {"foreground": settings.foreground, "per_image": settings.per_image}
    labels = dataset.table["label"][is_training].tolist()
    return sampling.sampler(labels, dataset.pixels[is_training] > 0, settings.seed, **options)


def check_validated(dataset: Dataset) -> None:
    """Raises InputError unless a validation picture shows no defect."""
    is_validated = (dataset.table["split"] == "valid").to_numpy()
    if not (dataset.pixels[is_validated, 1:].sum(axis=1) == 0).any():
        raise InputError(
            "dataset.good_share=adaptive follows the false alarms on validation pictures without a "
            "defect, and there are none. Try dataset.good=all, or dataset.good_share=0.25"
        )
