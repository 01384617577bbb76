"""The settings of flexunet infer, checked before anything is loaded."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from flexunet_exp import config, validation
from flexunet_exp.errors import InputError
from flexunet_exp.validation.settings import (
    COUNT,
    Rule,
    at_least,
    broken_rules,
    is_flag,
    is_number,
    is_text,
)


def is_input(value: Any) -> bool:
    words = value if isinstance(value, list) else [value]
    return bool(words) and all(map(is_text, words))


RULES = (
    Rule("input", is_input, "a picture, a folder, a glob or a list [a,b] of these", "input=photos"),
    Rule("output", is_text, "a folder", "output=results"),
    Rule("min_area", at_least(1), COUNT, "min_area=20"),
    Rule(
        "min_probability",
        lambda value: is_number(value) and 0 <= value <= 1,
        "a number from 0 to 1",
        "min_probability=0.5",
    ),
    Rule("overlays", is_flag, "true or false", "overlays=false"),
    Rule("probabilities", is_flag, "true or false", "probabilities=true"),
    Rule("overwrite", is_flag, "true or false", "overwrite=true"),
)


def check(cfg: DictConfig) -> None:
    """Raises InputError with every problem of the command's own settings, then of `predict.*`."""
    own = config.plain(OmegaConf.masked_copy(cfg, [rule.key for rule in RULES]))
    given = {key: value for key, value in own.items() if value is not None}
    if problems := list(broken_rules(given, RULES)):
        raise InputError(problems)
    validation.check_sections(cfg, ("predict",))
