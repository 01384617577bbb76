"""From a configuration and a split data set to what a network is fed: patches or whole pictures."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf
from omegaconf import DictConfig

from flexunet_exp.config import building, compose
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.data.feed import batches, reader, sampling
from flexunet_exp.data.feed.reader import Tiles


class Feed(NamedTuple):
    """Batches as `pipeline.batches` describes them."""

    training: tf.data.Dataset  # the epochs that are left, in a row
    steps: int  # batches an epoch
    drawn: int  # pictures, or patches, an epoch
    validation: tf.data.Dataset


def feed(cfg: DictConfig, dataset: Dataset, first_epoch: int = 0, multiple_of: int = 1) -> Feed:
    """Training and validation batches, from epoch `first_epoch` on.

    Raises InputError where sampling or cache do not go with the data.
    """
    trainer, size, patch = cfg.trainer, compose.image_size(cfg), compose.patch_size(cfg)
    train, valid = (
        reader.SampleReader(
            *(dataset, dataset.split(name), None if patch else size),
            *(cfg.dataset.cache, compose.cache_dir(cfg)),
        )
        for name in ("train", "valid")
    )
    draws = sampler(cfg, dataset)
    transforms = [building.build(node) for node in cfg.augmentation.transforms]
    validated = Tiles(valid, patch, size) if patch else valid
    return Feed(
        batches.training(
            *(train, draws, transforms, size, trainer.batch_size, trainer.epochs),
            *(first_epoch, multiple_of, patch),
        ),
        batches.steps_per_epoch(len(draws), trainer.batch_size),
        len(draws),
        batches.evaluation(validated, size, trainer.batch_size, multiple_of),
    )


def steps_per_epoch(cfg: DictConfig, dataset: Dataset) -> int:
    """Batches an epoch of training."""
    return batches.steps_per_epoch(len(sampler(cfg, dataset)), cfg.trainer.batch_size)


def sampler(cfg: DictConfig, dataset: Dataset) -> sampling.Sampler:
    """How the training split's pictures, or patches of them, are drawn."""
    is_training = (dataset.table["split"] == "train").to_numpy()
    options = {"sampling": cfg.dataset.sampling, "good_share": cfg.dataset.good_share}
    if compose.patch_size(cfg):
        patch = cfg.dataset.patch
        options |= {"foreground": patch.foreground, "per_image": patch.per_image}
    labels = dataset.table["label"][is_training].tolist()
    return sampling.sampler(labels, dataset.pixels[is_training] > 0, cfg.trainer.seed, **options)
