"""The settings of flexunet infer, checked before anything is loaded."""

from __future__ import annotations

from omegaconf import DictConfig

from flexunet_exp.config import validation
from flexunet_exp.config.options.commands import NONE
from flexunet_exp.errors import InputError


def check(cfg: DictConfig) -> None:
    """Raises InputError with every problem of the command's own settings, then of `predict.*`."""
    if problems := validation.own_problems(cfg, "infer"):
        raise InputError(problems)
    validation.check_sections(cfg, ("predict",))
    check_limits(cfg.decision, cfg.min_area, cfg.min_probability)


def check_limits(decision: str, min_area: int, min_probability: float) -> None:
    """Raises InputError for limits of regions beside a decision, which has its own."""
    if decision != NONE and (min_area > 1 or min_probability > 0):
        raise InputError(
            f"decision={decision} says which regions remain. Leave min_area and min_probability "
            f"out, or use decision={NONE}"
        )
