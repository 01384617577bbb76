"""The settings of flexunet infer, checked before anything is loaded."""

from __future__ import annotations

from omegaconf import DictConfig

from flexunet_exp.config import validation
from flexunet_exp.config.validation.rules import (
    COUNT,
    Rule,
    at_least,
    is_flag,
    is_number,
    is_text,
    is_text_or_texts,
    own_problems,
)
from flexunet_exp.errors import InputError

RULES = (
    Rule(
        "input",
        is_text_or_texts,
        "a picture, a folder, a glob or a list [a,b] of these",
        "input=photos",
    ),
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
    if problems := own_problems(cfg, RULES):
        raise InputError(problems)
    validation.check_sections(cfg, ("predict",))
