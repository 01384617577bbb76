"""Sentences about files: those of one kind become one sentence with a count and three names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

SHOWN = 3  # files named in a sentence
MOST_VALUES = 8  # values or colours listed in a sentence


class Sentence(str):
    """A sentence, with the options (key → value as in yaml) that mend what it says.

    A key that begins with "- " is a line of the list of the classes that the masks hold.
    """

    mends: dict[str, str]

    def __new__(cls, text: str, mends: Mapping[str, str] | None = None) -> Self:
        sentence = super().__new__(cls, text)
        sentence.mends = dict(mends or {})
        return sentence


class Problem(Sentence):
    """A sentence about one file: its `path`, what was `found` there, and `mend`, what to do.

    `kind` is what the files of such problems have in common, and follows their number: "masks hold
    …". `values` are the pixels of each value found.
    """

    path: str
    mend: str
    kind: str
    values: dict[str, int]

    def __new__(
        cls,
        path: object,
        found: str,
        mend: str,
        kind: str,
        values: Mapping[str, int] | None = None,
        mends: Mapping[str, str] | None = None,
    ) -> Self:
        text = f"{path}: {found}{counted(values or {})}. {mend}{class_lines(mends or {})}"
        problem = super().__new__(cls, text, mends)
        problem.path, problem.mend, problem.kind = str(path), mend, kind
        problem.values = dict(values or {})
        return problem


def grouped(problems: Iterable[str]) -> list[str]:
    """The sentences in order; those that are a `Problem` of one kind become one."""
    groups: dict[object, list[str]] = {}
    for number, problem in enumerate(problems):
        key = (problem.kind, problem.mend) if isinstance(problem, Problem) else number
        groups.setdefault(key, []).append(problem)
    return [together(group) for group in groups.values()]


def together(group: Sequence[str]) -> str:
    """One sentence for the problems of a kind."""
    first = group[0]
    if len(group) == 1 or not isinstance(first, Problem):
        return first
    values: Counter[str] = Counter()
    for problem in group:
        values.update(getattr(problem, "values", {}))
    files = first_of([getattr(problem, "path", "") for problem in group])
    what = f"{len(group)} {first.kind}{counted(values)}, in {files}"
    mending = mends(group)
    return Sentence(f"{what}. {first.mend}{class_lines(mending)}", mending)


def first_of(names: Sequence[str], most: int = SHOWN) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def counted(values: Mapping[str, int]) -> str:
    """The most frequent values with their pixels, as the end of a sentence."""
    ranked = sorted(values.items(), key=lambda item: -item[1])
    named = [f"{value} ({pixels:,} px)" for value, pixels in ranked]
    return f": {first_of(named, MOST_VALUES)}" if named else ""


def class_lines(mending: Mapping[str, str]) -> str:
    """The lines of a list of classes among the options that mend a problem."""
    return "".join(f"\n  {line}" for line in mending if line.startswith("- "))


def mends(sentences: Iterable[str]) -> dict[str, str]:
    """The options that mend what the sentences say, key → value as in yaml."""
    found: dict[str, str] = {}
    for sentence in sentences:
        found |= getattr(sentence, "mends", {})
    return found
