"""The settings of flexunet compare, checked before the store is opened."""

from __future__ import annotations

from omegaconf import DictConfig

from flexunet_exp.config.validation.rules import (
    COUNT,
    Rule,
    at_least,
    is_int,
    is_text,
    is_text_or_texts,
    or_null,
    own_problems,
)
from flexunet_exp.errors import InputError

RULES = (
    Rule(
        "runs",
        or_null(is_text_or_texts),
        "null, latest, all, a sweep's id or name, or a list [a,b] of run ids",
        "runs=latest",
    ),
    Rule("filter", or_null(is_text), "null or a filter", "filter=\"params.loss = 'dice'\""),
    Rule(
        "metric",
        lambda value: is_text(value) and value.startswith("val/"),
        "a validation figure (test is shown beside it)",
        "metric=val/dice",
    ),
    Rule(
        "top",
        lambda value: is_int(value) and 1 <= value <= 10,
        "a whole number from 1 to 10",
        "top=5",
    ),
    Rule("images", at_least(1), COUNT, "images=8"),
)


def check(cfg: DictConfig) -> None:
    """Raises InputError with every problem of the command's own settings."""
    problems = own_problems(cfg, RULES)
    if not cfg.tracking.uri:
        problems.append(
            "tracking=none has no store, and runs are compared from the store alone. Use "
            "tracking=local or tracking=server."
        )
    if problems:
        raise InputError(problems)
