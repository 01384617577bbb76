"""The settings of flexunet check: its own, and those it shares with training."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config import validation
from flexunet_exp.config.options import of_command
from flexunet_exp.errors import InputError


def check(cfg: DictConfig) -> None:
    """Raises InputError with every problem of the command's own settings and of training's."""
    own = [row.key for row in of_command("check")]
    problems = validation.own_problems(cfg, "check")
    shared = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key not in own])
    try:
        validation.check_settings(shared)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems)
