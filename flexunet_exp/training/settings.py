"""The settings of a training, and what a command asks of it, as objects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from omegaconf import DictConfig

from flexunet_exp.config import compose
from flexunet_exp.data.feed.settings import FeedSettings
from flexunet_exp.prediction.settings import PredictSettings
from flexunet_exp.system.tensorflow import ProcessSettings


@dataclass(frozen=True)
class Request:
    """What a command asks of a run, beside the settings of its training."""

    rerun: str  # which work that ended before is done again
    resume: str  # whether the command goes on with an unfinished run
    objective: str
    require: float | None  # what the best val_dice must exceed

    @property
    def goes_on(self) -> bool:
        """Whether a new run may go on from the last state of a finished one."""
        return self.rerun != "all" and self.resume != "never"

    @classmethod
    def from_config(cls, cfg: DictConfig) -> Request:
        return cls(cfg.rerun, cfg.trainer.resume, cfg.objective, cfg.require)


@dataclass(frozen=True)
class TrainingSettings:
    """Sections that name a `_target_` are mappings, as `building.build` takes them."""

    model: dict[str, Any]
    loss: dict[str, Any]
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    callbacks: dict[str, dict[str, Any]]  # by name, in their order
    process: ProcessSettings
    feed: FeedSettings
    predict: PredictSettings  # of the pictures that are drawn every few epochs
    save_every: int  # epochs between two states
    profile: bool
    keep_state: bool  # whether the state after the last epoch is kept
    deep_supervision: float | list[float] | None  # weights of the side outputs' losses

    @classmethod
    def from_config(cls, cfg: DictConfig) -> TrainingSettings:
        callbacks = compose.plain(cfg.callbacks)
        return cls(
            model=compose.plain(cfg.model),
            loss=compose.plain(cfg.loss),
            optimizer=compose.plain(cfg.optimizer),
            schedule=compose.plain(cfg.schedule),
            callbacks={name: node for name, node in callbacks.items() if node is not None},
            process=ProcessSettings.from_config(cfg),
            feed=FeedSettings.from_config(cfg),
            predict=PredictSettings.from_config(cfg),
            save_every=cfg.trainer.save_every,
            profile=cfg.trainer.profile,
            keep_state=cfg.trainer.keep_state,
            deep_supervision=compose.plain(cfg.trainer).get("deep_supervision"),
        )

    def in_precision(self, precision: str) -> TrainingSettings:
        """The same training, computing in another precision."""
        return replace(self, process=replace(self.process, precision=precision))
