"""flexunet inspect: the composed model, layer by layer."""

from __future__ import annotations

from omegaconf import DictConfig

from flexunet_exp.config import compose, validation
from flexunet_exp.jobs import job
from flexunet_exp.system import tensorflow


def main() -> None:
    """The command."""
    job.run_app("inspect", task)


def task(cfg: DictConfig) -> None:
    validation.check_settings(cfg)
    tensorflow.prepare(cfg.trainer)
    validation.check_targets(cfg, ("model",))
    from flexunet_exp.models.summary import describe

    shape = (*compose.image_size(cfg), 3)
    model = compose.build(cfg.model, input_shape=shape, num_classes=len(cfg.dataset.classes))
    print(describe(model, shape))
