"""Reports each epoch of a trial's run to the study, which may end the trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import keras
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from flexunet_exp.config import resolvers
from flexunet_exp.errors import Pruned
from flexunet_exp.sweeps.search import study

if TYPE_CHECKING:
    import optuna


class Pruning(keras.callbacks.Callback):
    """Reports the monitored figure after each epoch; raises Pruned if the study ends the trial.

    `sign` is -1 if the study maximizes and `monitor` is better lower, or the reverse; else 1.
    """

    def __init__(self, trial: optuna.Trial, monitor: str, sign: int, epochs: int):
        super().__init__()
        self.trial, self.monitor, self.sign, self.epochs = trial, monitor, sign, epochs
        self.reported = set(trial.study.trials[trial.number].intermediate_values)

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        step = epoch + 1
        if step not in self.reported:  # else it was reported before the run was cut off
            self.trial.report(self.sign * float((logs or {})[self.monitor]), step)
        if step < self.epochs and self.trial.should_prune():
            self.trial.set_user_attr(study.PRUNED, step)
            raise Pruned(f"pruned at epoch {step}")


def callbacks(cfg: DictConfig) -> dict[str, keras.callbacks.Callback]:
    """The pruning callback for the run of a trial whose study has a pruner; else no callback."""
    if not cfg.tracking.get("trial") or (conf := HydraConfig.get().sweeper).pruner == "none":
        return {}
    less_is_better = resolvers.monitor_mode(cfg.monitor) == "min"
    sign = -1 if less_is_better == (conf.direction == "maximize") else 1
    trial = study.trial_in_run(cfg, conf)
    return {"(pruning)": Pruning(trial, cfg.monitor, sign, cfg.trainer.epochs)}
