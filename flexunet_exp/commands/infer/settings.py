"""The settings of flexunet infer, checked before anything is loaded."""

from __future__ import annotations

from omegaconf import DictConfig

from flexunet_exp.config import validation
from flexunet_exp.errors import InputError


def check(cfg: DictConfig) -> None:
    """Raises InputError with every problem of the command's own settings, then of `predict.*`."""
    if problems := validation.own_problems(cfg, "infer"):
        raise InputError(problems)
    validation.check_sections(cfg, ("predict",))
