"""`tracking.*` of a command as one object."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import DictConfig


@dataclass(frozen=True)
class TrackingSettings:
    """The store in which a run is recorded, and what is recorded."""

    uri: str | None  # None: nowhere
    experiment_name: str
    run_name: str | None = None  # None: what differs in the sweep, else data set and model
    parent_run_id: str | None = None  # of the multirun that the run is a job of
    log_model: bool = True
    register: str | None = None  # the registered model that its best network becomes a version of
    reproduces: str | None = None  # the run, by id or folder, that the run is to reproduce

    @classmethod
    def from_config(cls, cfg: DictConfig) -> TrackingSettings:
        """Reads the options that exist: a tracker is made before the settings are checked.

        The check then names an option that was deleted.
        """
        tracking = cfg.tracking
        return cls(
            tracking.get("uri"),
            tracking.get("experiment_name", ""),
            tracking.get("run_name"),
            tracking.get("parent_run_id"),
            tracking.get("log_model", True),
            tracking.get("register"),
            tracking.get("reproduces"),
        )
