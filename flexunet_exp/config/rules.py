"""Rules: what a value must be as a check, the same in words, and an example."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

Check = Callable[[Any], bool]
MISSING = object()
MOST_CHANNELS = 8
MEMORY_UNITS = {"MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}


class Rule(NamedTuple):
    """What must hold of a value, the same in words, and an example as one types it."""

    holds: Check
    expected: str
    example: str

    def problem(self, key: str, value: Any, instead: str = "") -> str | None:
        """The problem of a key's value and what to type `instead`; None if there is no problem."""
        if self.holds(value):
            return None
        is_there = value is not None and value is not MISSING
        found = f"{key}={value} is not" if is_there else f"{key} is missing; expected"
        return f"{found} {self.expected}. Try {instead or f'{key}={self.example}'}"


class Arguments(NamedTuple):
    """What the arguments of a `_target_` must be: each by its rule, and all of them together.

    `together` gets the node's key, its arguments and all settings; it is called if every rule
    holds. `divisor` gets a network's arguments: both sides of its pictures divide by it; None where
    the arguments do not say it.
    """

    rules: Mapping[str, Rule]
    together: Callable[[str, dict, dict], Iterable[str]] | None = None
    divisor: Callable[[Mapping[str, Any]], int | None] | None = None


def is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return real and math.isfinite(value)


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


def is_size(value: Any) -> bool:
    sides = value if isinstance(value, list) else [value]
    return len(sides) in (1, 2) and all(is_int(s) and s >= 8 for s in sides) and value != sides[:1]


def at_least(smallest: int, example: int) -> Rule:
    """A whole number from `smallest` on."""
    return Rule(
        lambda value: is_int(value) and value >= smallest,
        f"a whole number of at least {smallest}",
        str(example),
    )


def count(example: int = 1) -> Rule:
    return at_least(1, example)


def count_or(word: str, example: int) -> Rule:
    """A whole number from 1 on, or a word."""
    return Rule(
        lambda value: value == word or (is_int(value) and value >= 1),
        f"{word} or a whole number of at least 1",
        str(example),
    )


def memory_size(example: str) -> Rule:
    """An amount of memory, such as 8GB."""
    return Rule(
        lambda value: parsed_bytes(value) > 0,
        f"a size above 0 in {listed(MEMORY_UNITS)}",
        example,
    )


def parsed_bytes(value: Any) -> int:
    """The bytes of an amount such as 8GB or 1.5 GiB; 0 for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(\w+)", value) if isinstance(value, str) else None
    return int(float(found[1]) * MEMORY_UNITS.get(found[2], 0)) if found else 0


def between(smallest: int, largest: int, example: int) -> Rule:
    """A whole number from `smallest` to `largest`, both allowed."""
    return Rule(
        lambda value: is_int(value) and smallest <= value <= largest,
        f"a whole number from {smallest} to {largest}",
        str(example),
    )


def number(holds: Check, expected: str, example: float | str) -> Rule:
    """A finite number of which something holds: `number(lambda x: x > 0, "above 0", 1)`."""
    return Rule(
        lambda value: is_number(value) and holds(value), f"a number {expected}", str(example)
    )


def positive(example: float | str) -> Rule:
    return number(lambda value: value > 0, "above 0", example)


def not_negative(example: float | str) -> Rule:
    return number(lambda value: value >= 0, "of at least 0", example)


def fraction(example: float) -> Rule:
    """A number between 0 and 1, neither of them."""
    return number(lambda value: 0 < value < 1, "between 0 and 1", example)


def share(example: float) -> Rule:
    return number(lambda value: 0 <= value < 1, "from 0 to below 1", example)


def part(example: float) -> Rule:
    return number(lambda value: 0 <= value <= 1, "from 0 to 1", example)


def flag(example: bool = True) -> Rule:
    return Rule(is_flag, "true or false", str(example).lower())


def text(expected: str, example: str) -> Rule:
    return Rule(is_text, expected, example)


def size(example: int, *words: str) -> Rule:
    """A side or [height, width] in pixels; or one of some words."""
    expected = "a whole number or [height, width], each at least 8"
    return Rule(
        lambda value: (isinstance(value, str) and value in words) or is_size(value),
        ", ".join([*words, expected]),
        str(example),
    )


def one_of(*choices: str, example: str | None = None) -> Rule:
    return Rule(
        lambda value: isinstance(value, str) and value in choices,
        listed(choices),
        example or choices[0],
    )


def one_of_numbers(*numbers: int, word: str, example: int) -> Rule:
    """One of some whole numbers, or a word."""
    return Rule(
        lambda value: value == word or (is_int(value) and value in numbers),
        listed([word, *map(str, numbers)]),
        str(example),
    )


def channels() -> Rule:
    """The channels of pictures: their number, or a name for each."""
    return Rule(
        lambda value: is_light_names(value) or (is_int(value) and 1 <= value <= MOST_CHANNELS),
        f"a whole number from 1 to {MOST_CHANNELS}, or a list of at most {MOST_CHANNELS} different "
        "names of lights, each of letters, digits, _ and -",
        "[left,right]",
    )


def is_light_names(value: Any) -> bool:
    names = value if isinstance(value, list) else []
    is_named = all(isinstance(one, str) and re.fullmatch(r"[\w-]+", one) for one in names)
    return is_named and 1 <= len(names) == len({str(one) for one in names}) <= MOST_CHANNELS


def listed(words: Iterable[str]) -> str:
    """`a, b or c`"""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def or_null(rule: Rule) -> Rule:
    comma = "," if " or " in rule.expected else " or"
    return Rule(
        lambda value: value is None or rule.holds(value),
        f"null{comma} {rule.expected}",
        rule.example,
    )


def lookup(settings: Any, key: str) -> Any:
    """The value of a dotted key; MISSING where there is none."""
    node: Any = settings
    for name in key.split("."):
        if not isinstance(node, dict) or name not in node:
            return MISSING
        node = node[name]
    return node


def broken_rules(settings: dict, rules: Mapping[str, Rule], prefix: str = "") -> Iterator[str]:
    """The problems of those keys that `settings` has; messages put `prefix` before the key."""
    for key, rule in rules.items():
        value = lookup(settings, key)
        if value is not MISSING and (problem := rule.problem(prefix + key, value)):
            yield problem
