"""What a setting must be: a rule a key, and the checks that rules are made of."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config import compose

Check = Callable[[Any], bool]
MISSING = object()
COUNT = "a whole number of at least 1"


@dataclass(frozen=True)
class Rule:
    """What a key's value must be; `optional` keys are checked only where they exist."""

    key: str
    holds: Check
    expected: str
    example: str
    optional: bool = False


def is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return real and math.isfinite(value)


def at_least(smallest: int) -> Check:
    return lambda value: is_int(value) and value >= smallest


def or_null(check: Check) -> Check:
    return lambda value: value is None or check(value)


def one_of(*choices: str) -> Check:
    return lambda value: isinstance(value, str) and value in choices


def is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def is_model_name(value: Any) -> bool:
    """Whether it can stand in an address such as `models:/NAME@champion`."""
    return isinstance(value, str) and bool(re.fullmatch(r"[A-Za-z0-9][\w.-]*", value, re.ASCII))


def is_text_or_texts(value: Any) -> bool:
    words = value if isinstance(value, list) else [value]
    return bool(words) and all(map(is_text, words))


def is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def is_positive(value: Any) -> bool:
    return is_number(value) and value > 0


def is_fraction(value: Any) -> bool:
    return is_number(value) and 0 < value < 1


def is_share(value: Any) -> bool:
    return is_number(value) and 0 <= value < 1


def is_part(value: Any) -> bool:
    return is_number(value) and 0 <= value <= 1


def is_size(value: Any) -> bool:
    sides = value if isinstance(value, list) else [value]
    return len(sides) in (1, 2) and all(map(at_least(8), sides)) and value != sides[:1]


def is_list(value: Any) -> bool:
    return isinstance(value, list)


def own_problems(cfg: DictConfig, rules: Sequence[Rule]) -> list[str]:
    """What is wrong with a command's own settings, by its own rules."""
    own = OmegaConf.masked_copy(cfg, [rule.key for rule in rules])
    return list(broken_rules(compose.plain(own), rules))


def lookup(settings: dict, key: str) -> Any:
    node: Any = settings
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            return MISSING
        node = node[part]
    return node


def broken_rules(settings: dict, rules: Iterable[Rule]) -> Iterator[str]:
    for rule in rules:
        value = lookup(settings, rule.key)
        if value is MISSING and rule.optional:
            continue
        if value is MISSING or (value is None and not rule.holds(value)):
            yield f"{rule.key} is missing; expected {rule.expected}. Try {rule.example}"
        elif not rule.holds(value):
            yield f"{rule.key}={value} is not {rule.expected}. Try {rule.example}"
