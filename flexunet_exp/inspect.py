"""flexunet inspect: the composed model, layer by layer."""

from __future__ import annotations

from omegaconf import DictConfig

from flexunet_exp import config, job, runtime, validation


def main() -> None:
    """The command."""
    job.run_app("inspect", task)


def task(cfg: DictConfig) -> None:
    validation.check_settings(cfg)
    runtime.prepare(cfg.trainer)
    validation.check_targets(cfg, ("model",))
    from flexunet_exp.summary import describe

    shape = (*config.image_size(cfg), 3)
    model = config.build(cfg.model, input_shape=shape, num_classes=len(cfg.dataset.classes))
    print(describe(model, shape))
