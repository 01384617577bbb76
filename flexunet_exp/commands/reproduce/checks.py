"""One check of what a run was made with against what is here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

SAME, DIFFERENT, UNKNOWN = "same", "different", "not recorded"
MOST_LISTED = 10


class Check(NamedTuple):
    """What was found, in sentences; `refusal` says why there is no training, empty if there is."""

    topic: str
    state: str
    sentences: list[str]
    refusal: str = ""


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - MOST_LISTED
    return ", ".join(names[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def differing(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The names that have another value, or only one side has, in order."""
    return sorted(name for name in {*then, *now} if then.get(name) != now.get(name))


def changes(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What differs, as texts: `keras 3.15.0, here 3.15.1`."""
    return [
        f"{name} {then.get(name, 'missing')}, here {now.get(name, 'missing')}"
        for name in differing(then, now)
    ]
