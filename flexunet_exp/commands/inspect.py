"""flexunet inspect: the composed model, layer by layer."""

from __future__ import annotations

from omegaconf import DictConfig

from flexunet_exp.config import building, compose, validation
from flexunet_exp.jobs import app
from flexunet_exp.system import tensorflow


def main() -> None:
    """The command."""
    app.run_app("inspect", task)


def task(cfg: DictConfig) -> None:
    validation.check_settings(cfg)
    tensorflow.prepare(tensorflow.ProcessSettings.from_config(cfg))
    validation.check_targets(cfg, ("model",))
    from flexunet_exp.data.channels import Channels
    from flexunet_exp.models.summary import describe

    channels = Channels.of(compose.channels(cfg)).number
    shape = (*compose.image_size(cfg), channels)
    model = building.build(cfg.model, input_shape=shape, num_classes=len(cfg.dataset.classes))
    print(describe(model, shape))
