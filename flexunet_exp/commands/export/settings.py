"""The settings of flexunet export, checked before anything is loaded."""

from __future__ import annotations

from omegaconf import DictConfig

from flexunet_exp.commands.export.formats import FORMATS
from flexunet_exp.config import validation
from flexunet_exp.errors import InputError, did_you_mean


def check(cfg: DictConfig) -> None:
    """Raises InputError with every problem of the command's own settings."""
    problems = validation.own_problems(cfg, "export")
    if cfg.format not in FORMATS:
        hint = did_you_mean(str(cfg.format), FORMATS)
        problems.insert(0, f"Unknown format={cfg.format}.{hint} There are: {', '.join(FORMATS)}.")
    if problems:
        raise InputError(problems)
