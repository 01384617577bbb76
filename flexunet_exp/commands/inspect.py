"""flexunet inspect: the composed model, layer by layer, and the memory that its training takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omegaconf import DictConfig

from flexunet_exp.config import building, compose, validation
from flexunet_exp.jobs import app
from flexunet_exp.system import tensorflow
from flexunet_exp.training import batch_size
from flexunet_exp.training.settings import TrainingSettings

if TYPE_CHECKING:
    import keras


def main() -> None:
    """The command."""
    app.run_app("inspect", task)


def task(cfg: DictConfig) -> None:
    validation.check_settings(cfg)
    settings = batch_size.of_one_picture(cfg)
    tensorflow.prepare(settings.process)
    validation.check_targets(cfg, ("model", "optimizer"))
    from flexunet_exp.data.channels import Channels
    from flexunet_exp.models.summary import describe
    from flexunet_exp.training import memory

    channels = Channels.of(compose.channels(cfg)).number
    shape = (*settings.feed.size, channels)
    with tensorflow.strategy(settings.process):
        model = building.build(cfg.model, input_shape=shape, num_classes=len(cfg.dataset.classes))
        print(describe(model, shape), end="")
        predicted = memory.predict(for_training(model, settings), settings)
    number = cfg.trainer.batch_size
    if number == batch_size.AUTO:
        number = batch_size.fitting(cfg, predicted)
    for line in memory.lines(predicted, number):
        print(line)


def for_training(model: keras.Model, settings: TrainingSettings) -> keras.Model:
    """The model as a training has it, with its optimizer and without data or a loss."""
    from flexunet_exp.training import features, supervision

    if settings.feed.cache == "features":
        model = features.FromFeatures(model.input, model.output)
    if settings.deep_supervision is not None:
        model = supervision.supervised(model, settings.deep_supervision)
    model.compile(building.build(settings.optimizer))
    model.optimizer.build(model.trainable_variables)
    return model
