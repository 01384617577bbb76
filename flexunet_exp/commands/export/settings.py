"""The settings of flexunet export, checked before anything is loaded."""

from __future__ import annotations

from omegaconf import DictConfig

from flexunet_exp.commands.export.formats import FORMATS
from flexunet_exp.config.validation.rules import (
    COUNT,
    Rule,
    at_least,
    is_flag,
    is_number,
    is_text,
    is_text_or_texts,
    or_null,
    own_problems,
)
from flexunet_exp.errors import InputError, did_you_mean

RULES = (
    Rule("output", or_null(is_text), "null or a folder", "output=exports/grid"),
    Rule(
        "input",
        or_null(is_text_or_texts),
        "null, a picture, a folder, a glob or a list [a,b] of these",
        "input=photos",
    ),
    Rule("images", at_least(1), COUNT, "images=8"),
    Rule(
        "max_logit_difference",
        lambda value: is_number(value) and value >= 0,
        "a number of at least 0",
        "max_logit_difference=0.01",
    ),
    Rule(
        "min_agreement",
        lambda value: is_number(value) and 0 <= value <= 1,
        "a number from 0 to 1",
        "min_agreement=0.999",
    ),
    Rule("overwrite", is_flag, "true or false", "overwrite=true"),
    Rule("log", is_flag, "true or false", "log=true"),
)


def check(cfg: DictConfig) -> None:
    """Raises InputError with every problem of the command's own settings."""
    problems = own_problems(cfg, RULES)
    if cfg.format not in FORMATS:
        hint = did_you_mean(str(cfg.format), FORMATS)
        problems.insert(0, f"Unknown format={cfg.format}.{hint} There are: {', '.join(FORMATS)}.")
    if problems:
        raise InputError(problems)
