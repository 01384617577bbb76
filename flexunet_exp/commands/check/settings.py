"""The settings of flexunet check: its own, and those it shares with training."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config import compose, validation
from flexunet_exp.config.validation.rules import COUNT, Rule, at_least, broken_rules, is_flag
from flexunet_exp.errors import InputError

RULES = (
    Rule("strict", is_flag, "true or false", "strict=true"),
    Rule("small_defect", at_least(1), COUNT, "small_defect=16"),
)


def check(cfg: DictConfig) -> None:
    """Raises InputError with every problem of the command's own settings and of training's."""
    own = [rule.key for rule in RULES]
    problems = list(broken_rules(compose.plain(OmegaConf.masked_copy(cfg, own)), RULES))
    shared = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key not in own])
    try:
        validation.check_settings(shared)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems)
