"""The settings of flexunet compare, checked before the store is opened."""

from __future__ import annotations

from omegaconf import DictConfig

from flexunet_exp.config import validation
from flexunet_exp.errors import InputError


def check(cfg: DictConfig) -> None:
    """Raises InputError with every problem of the command's own settings."""
    problems = validation.own_problems(cfg, "compare")
    if not cfg.tracking.uri:
        problems.append(
            "tracking=none has no store, and runs are compared from the store alone. Use "
            "tracking=local or tracking=server."
        )
    if problems:
        raise InputError(problems)
