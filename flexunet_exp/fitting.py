"""From a configuration to a fitted model holding its best weights."""

from __future__ import annotations

import logging
from pathlib import Path

import keras
import numpy as np
from omegaconf import DictConfig

from flexunet_exp import callbacks, config
from flexunet_exp.data import card, masks, pipeline
from flexunet_exp.data.dataset import Dataset, rows
from flexunet_exp.data.splits import pick_samples
from flexunet_exp.errors import InputError
from flexunet_exp.metrics import SegmentationScores
from flexunet_exp.summary import describe as describe_model
from flexunet_exp.tracking import Tracker

log = logging.getLogger(__name__)


def compiled_model(cfg: DictConfig, dataset: Dataset) -> keras.Model:
    """The model with its loss, optimizer and on-device scores."""
    shape = (*config.image_size(cfg), 3)
    model = config.build(cfg.model, input_shape=shape, num_classes=dataset.num_classes)
    check_output(model, shape, dataset)
    scores = SegmentationScores(list(dataset.class_names))
    model.compile(config.build(cfg.optimizer), build_loss(cfg, dataset), metrics=[scores])
    return model


def check_output(model: keras.Model, shape: tuple[int, int, int], dataset: Dataset) -> None:
    """Raises InputError unless the model gives one float32 logit a class for every pixel."""
    expected = (1, *shape[:2], dataset.num_classes)
    found = tuple(model.compute_output_shape((1, *shape)))
    if found != expected or model.output.dtype != "float32":
        raise InputError(
            f"The model turns an image of {shape} into {model.output.dtype} {found[1:]}; expected "
            f"float32 logits {expected[1:]}, one a class ({', '.join(dataset.class_names)}). "
            "Look at its last layer: linear, num_classes channels, dtype float32."
        )


def build_loss(cfg: DictConfig, dataset: Dataset) -> keras.losses.Loss:
    """The loss, `class_weights` being `none`, `balanced` (over the training split) or a list."""
    node = dict(config.plain(cfg.loss))
    if node.get("class_weights") == "none":
        node["class_weights"] = None
    elif node.get("class_weights") == "balanced":
        node["class_weights"] = card.balanced_weights(dataset.split_pixels("train"))
        weights = dict(zip(dataset.class_names, node["class_weights"], strict=True))
        log.info("Class weights: %s", {name: round(value, 3) for name, value in weights.items()})
    return config.build(node)


def describe(model: keras.Model, cfg: DictConfig) -> str:
    return describe_model(model, (*config.image_size(cfg), 3))


def fit(
    model: keras.Model, cfg: DictConfig, dataset: Dataset, tracker: Tracker, folder: Path
) -> float:
    """Trains the model, and leaves the best epoch's weights in it and in best.keras.

    Returns the highest val_dice of any epoch, at training size.
    """
    trainer, size = cfg.trainer, config.image_size(cfg)
    say_what_is_undefined(dataset)
    readers = {
        name: pipeline.SampleReader(dataset, dataset.split(name), size, cfg.dataset.cache)
        for name in ("train", "valid")
    }
    transforms = [config.build(node) for node in cfg.augmentation.transforms]
    batches, steps = pipeline.training(
        readers["train"], transforms, trainer.batch_size, trainer.seed, trainer.epochs
    )
    best = folder / "best.keras"
    line = callbacks.EpochLine(trainer.epochs, steps)
    try:
        history = model.fit(
            batches,
            steps_per_epoch=steps,
            epochs=trainer.epochs,
            validation_data=pipeline.evaluation(readers["valid"], trainer.batch_size),
            callbacks=[
                *build_callbacks(cfg, callbacks.Run(folder, dataset, size, tracker)),
                callbacks.EpochMetrics(tracker),
                line,
            ],
            shuffle=False,
            verbose=0,
        )
    except KeyboardInterrupt:
        if not best.exists():
            callbacks.save_model(model, best)
        raise
    finally:
        line.close()
    if not best.exists():
        log.warning("No callback chose a best epoch: best.keras holds the last one's weights.")
        callbacks.save_model(model, best)
    model.set_weights(keras.saving.load_model(best, compile=False).get_weights())
    return max(history.history["val_dice"])


def build_callbacks(cfg: DictConfig, run: callbacks.Run) -> list[keras.callbacks.Callback]:
    return [config.build(node, run=run) for node in cfg.callbacks.values() if node is not None]


def say_what_is_undefined(dataset: Dataset) -> None:
    pixels = dataset.split_pixels("valid")
    absent = [name for name, n in zip(dataset.class_names, pixels, strict=True) if not n]
    if absent:
        log.warning(
            "No validation picture shows %s: its epoch figures are logged as 0 and leave the mean.",
            ", ".join(absent),
        )


def input_example(dataset: Dataset, cfg: DictConfig) -> np.ndarray:
    """One picture as the network takes it, (1, H, W, 3) uint8: the first shown in epoch images."""
    sample = next(rows(pick_samples(dataset.table, 1)))
    image, _ = dataset.read(sample)
    return masks.resize_image(image, config.image_size(cfg))[None]
