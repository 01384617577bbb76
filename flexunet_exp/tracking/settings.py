"""`tracking.*` of a command as one object."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import DictConfig


@dataclass(frozen=True)
class TrackingSettings:
    """Where a run is recorded, and what of it."""

    uri: str | None  # None: nowhere
    experiment_name: str
    run_name: str | None = None  # None: what differs in a sweep, else data set and model
    parent_run_id: str | None = None  # of the multirun it is a job of
    log_model: bool = True
    register: str | None = None  # the registered model that its best network becomes a version of

    @classmethod
    def from_config(cls, cfg: DictConfig) -> TrackingSettings:
        tracking = cfg.tracking
        return cls(
            tracking.uri,
            tracking.experiment_name,
            tracking.run_name,
            tracking.parent_run_id,
            tracking.log_model,
            tracking.get("register"),
        )
