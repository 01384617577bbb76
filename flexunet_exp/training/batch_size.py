"""trainer.batch_size=auto: the largest batch that is predicted to fit into memory.

Found once, on the run's own network, and remembered in the cache folder: the same command must not
train with another batch the next day, or where another program takes a part of the memory.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from flexunet_exp.config import compose
from flexunet_exp.config.rules import parsed_bytes
from flexunet_exp.errors import InputError
from flexunet_exp.system import memory, tensorflow
from flexunet_exp.training import remembered
from flexunet_exp.training.precision import CANDIDATES, check_targets
from flexunet_exp.training.settings import TrainingSettings

if TYPE_CHECKING:
    from flexunet_exp.data.dataset import Dataset
    from flexunet_exp.training.memory import Prediction

log = logging.getLogger(__name__)

AUTO = "auto"
SHARE = 0.8  # of the memory, without trainer.memory: the prediction may be 15 % too low

MOST = 4096  # pictures in a step


def resolve(cfg: DictConfig, dataset: Dataset) -> int:
    """The batch size of a training, found where it is `auto`.

    Raises InputError where a step of one picture does not fit.
    """
    if cfg.trainer.batch_size != AUTO:
        return cfg.trainer.batch_size
    path = remembered_in(cfg, dataset)
    batch_size = number_in(path)
    if batch_size is None:
        batch_size = largest(cfg, dataset)
        remembered.keep(path, {"batch_size": batch_size}, "looks for it")
    log.info("Batch size: %d (trainer.batch_size=auto)", batch_size)
    return batch_size


def known(cfg: DictConfig, dataset: Dataset) -> int | str:
    """The batch size as far as it is known without building the network; else `auto`."""
    if cfg.trainer.batch_size != AUTO:
        return cfg.trainer.batch_size
    return number_in(remembered_in(cfg, dataset)) or AUTO


def largest(cfg: DictConfig, dataset: Dataset) -> int:
    """The largest power of two that fits, up to the pictures or patches of an epoch."""
    settings = of_one_picture(cfg)
    tensorflow.prepare(settings.process)
    check_targets(settings)
    from flexunet_exp.data.feed import feed
    from flexunet_exp.training import fit
    from flexunet_exp.training import memory as predicting

    try:
        predicted = predicting.predict(fit.compiled_model(settings, dataset), settings)
    except ValueError as error:
        raise InputError(
            f"trainer.batch_size=auto: the memory of this network cannot be predicted. {error} "
            "Type a number, such as trainer.batch_size=4"
        ) from error
    return fitting(cfg, predicted, feed.steps_per_epoch(settings.feed, dataset))


def fitting(cfg: DictConfig, predicted: Prediction, most: int = MOST) -> int:
    """The largest power of two, up to `most`, with which the predicted training fits.

    Pictures that are shown of epochs do not count: without them, the batch is the same. Raises
    InputError where a step of one picture does not.
    """
    from flexunet_exp.training import memory as predicting

    predicted = replace(predicted, shown=0)
    room = limit(cfg.trainer.memory, tensorflow.has_gpu())
    if found := predicted.largest_batch(room, most):
        return found
    enough = math.ceil(predicted.total(1) / 1e8) / 10  # in GB
    raise InputError(
        f"trainer.batch_size=auto: with one picture a step, the training takes "
        f"{predicted.describe(1)}, and trainer.memory={typed(cfg.trainer.memory)} allows "
        f"{predicting.gigabytes(room)} GB. Type trainer.memory={enough}GB, or "
        f"{predicting.smaller(predicted, room)}"
    )


def of_one_picture(cfg: DictConfig) -> TrainingSettings:
    """The settings of a training with one picture a step.

    Of the precisions that trainer.precision=auto chooses from, float32 takes the more memory.
    """
    one = cfg.copy()
    one.trainer.batch_size = 1
    settings = TrainingSettings.from_config(one)
    return settings.in_precision(CANDIDATES[0]) if cfg.trainer.precision == AUTO else settings


def limit(amount: str | None, is_on_gpu: bool) -> int:
    """The bytes that a training may take: `trainer.memory`, or a share of what the machine has.

    Raises InputError for GPUs whose memory is unknown.
    """
    if amount is not None:
        return parsed_bytes(amount)
    there = memory.of_gpus() if is_on_gpu else memory.total()
    if there is None:
        raise InputError(
            "trainer.batch_size=auto: nvidia-smi does not say what memory the GPU has. Type it, "
            "such as trainer.memory=16GB"
        )
    return int(SHARE * there)


def typed(amount: str | None) -> str:
    return "null" if amount is None else amount


def remembered_in(cfg: DictConfig, dataset: Dataset) -> Path:
    """The file that remembers the batch for this network, step and amount of memory.

    What the machine has is no part of it: another machine goes on with the same batch.
    """
    settings = of_one_picture(cfg)
    feed, process = settings.feed, settings.process
    parts = [
        *(settings.model, settings.loss, settings.optimizer, settings.deep_supervision),
        *(feed.size, feed.feature_patch, feed.cache == "features", feed.valid_batch_size),
        *(dataset.num_classes, dataset.channels.number, dataset.dtype, len(dataset.split("train"))),
        *(feed.patch, feed.per_image, feed.sampling, feed.good_share),
        *(process.precision, process.strategy, typed(cfg.trainer.memory)),
    ]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    return compose.cache_dir(cfg) / f"batch_size_{key}.json"


def number_in(path: Path) -> int | None:
    """What was found before; None where the file is missing or cannot be read."""
    found = remembered.read(path).get("batch_size")
    return found if isinstance(found, int) and found > 0 else None
