"""Cells: runs that differ in seed, fold and split.seed alone. Groups: cells that are comparable."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from flexunet_exp.commands.compare.selection import Trial
from flexunet_exp.config.options import REPEATED
from flexunet_exp.config.overrides import shell

DATASET = "dataset"
UNSET = "default"
LESS_IS_BETTER = ("val/missed",)
CHOICES = (
    *("dataset", "model", "loss", "augmentation", "optimizer", "schedule", "experiment"),
    *("dataset/layout", "model/encoder", "debug"),
)


@dataclass(frozen=True)
class Cell:
    """The finished runs of one recipe, at least one."""

    settings: dict[str, str]
    trials: tuple[Trial, ...]

    @cached_property
    def test_sets(self) -> frozenset:
        return frozenset(trial.test_set for trial in self.trials)

    @cached_property
    def replicates(self) -> dict[tuple[str, str], list[Trial]]:
        """Seed and split.seed → its runs, one per fold."""
        found = defaultdict(list)
        for trial in self.trials:
            found[trial.replicate].append(trial)
        return dict(sorted(found.items()))

    def is_whole_on(self, test_sets: frozenset) -> bool:
        """Whether every seed of the cell was tested on all of these test sets, and on no others."""
        by_split = defaultdict(set)
        for (_, split_seed), runs in self.replicates.items():
            by_split[split_seed].add(frozenset(trial.test_set for trial in runs))
        return self.test_sets == test_sets and all(len(sets) == 1 for sets in by_split.values())

    @property
    def has_learned(self) -> bool:
        """Whether any of its runs beat predicting nothing and everything."""
        return any(trial.learned for trial in self.trials)

    def values(self, metric: str) -> np.ndarray:
        """The figure of every run; NaN for a run that lacks it."""
        return np.array([trial.metrics.get(metric, np.nan) for trial in self.trials])

    @property
    def minutes(self) -> float:
        """Minutes of the median run; those of a run that was cut off include its pause."""
        return float(np.nanmedian([trial.minutes for trial in self.trials]))

    def command(self, where: Sequence[str] = ()) -> str:
        """The command that trains all its runs again, in the store that the words `where` name."""
        repeats = zip(*(trial.repeat for trial in self.trials), strict=True)
        lists = [sorted(set(values), key=by_number) for values in repeats]
        typed = {word.key for trial in self.trials for word in trial.overrides}
        repeated = [
            f"{key}={','.join(values)}"
            for key, values in zip(REPEATED, lists, strict=True)
            if len(values) > 1 or key in typed
        ]
        many = ["-m"] if any(len(values) > 1 for values in lists) else []
        words = [
            word
            for word in self.trials[0].overrides
            if word.key not in REPEATED and (many or not word.is_of_sweep)
        ]
        return shell(["flexunet", "train", *many, *words, *repeated, *where])


@dataclass(frozen=True)
class Group:
    """Cells with common test pictures, best first; cells of different groups are not ranked."""

    name: str
    cells: list[Cell]
    complete: frozenset  # the test sets that most cells have; a cell with others is partial

    @cached_property
    def varying(self) -> list[str]:
        return varying_keys([cell.settings for cell in self.cells])

    @property
    def tested_on(self) -> str:
        """Its test pictures and their classes, in words."""
        digests = sorted({digest[:8] for digest, _ in self.complete})
        classes = sorted({name for _, names in self.complete for name in names} - {"background"})
        return f"test pictures {', '.join(digests)}; classes {', '.join(classes)}"

    def is_partial(self, cell: Cell) -> bool:
        return not cell.is_whole_on(self.complete)

    def label(self, cell: Cell) -> str:
        """The settings in which a cell differs from the others, in a few words."""
        return label({key: rounded(value) for key, value in cell.settings.items()}, self.varying)


def label(settings: dict[str, str], keys: Sequence[str]) -> str:
    """Choices as their values, other settings with their names: `dice base_filters=8`.

    What a run leaves to its experiment, or to the defaults, is not named.
    """
    words = [
        settings[key] if is_choice(key) else f"{key.rsplit('.', 1)[-1]}={settings[key]}"
        for key in keys
        if key in settings
    ]
    if not words and keys:
        return UNSET
    return " ".join(words or [settings.get(key, "") for key in ("model", "loss")]).strip()


def rounded(value: str) -> str:
    """A number with many decimals, as a search draws it, to four digits; other values unchanged."""
    return f"{float(value):.4g}" if re.fullmatch(r"-?\d+\.\d{5,}(e[+-]?\d+)?", value) else value


def is_choice(key: str) -> bool:
    """Whether the key's value is a name that is clear without the key."""
    return key in CHOICES


def by_number(value: str) -> tuple[float, str]:
    return (float(value), "") if value.lstrip("-").isdigit() else (np.inf, value)


def varying_keys(settings: Sequence[dict[str, str]]) -> list[str]:
    """The keys whose values differ between the settings, choices first."""
    keys = dict.fromkeys(key for one in settings for key in one)
    varying = [key for key in keys if len({one.get(key, UNSET) for one in settings}) > 1]
    return sorted(varying, key=lambda key: not is_choice(key))


def cells_of(trials: Sequence[Trial]) -> tuple[list[Cell], list[tuple[Trial, str]]]:
    """Cells of finished runs; and the runs left out for a newer run of their cell, with reasons.

    Two sets of test pictures for one fold mean that the data changed. Two runs for one seed and
    fold mean that the program or the machine changed. `trials` are sorted newest first.
    """
    by_settings = defaultdict(list)
    for trial in trials:
        by_settings[tuple(sorted(trial.settings.items()))].append(trial)
    cells, outdated = [], []
    for settings, of_cell in by_settings.items():
        present: dict[tuple[str, str], object] = {}
        kept: dict[tuple[str, str, str], Trial] = {}
        for trial in of_cell:
            if present.setdefault(trial.repeat[1:], trial.test_set) != trial.test_set:
                outdated.append((trial, "other test pictures than newer runs of its cell"))
            elif kept.setdefault(trial.repeat, trial) is not trial:
                outdated.append((trial, "a newer run has its settings, seed and fold"))
        in_order = sorted(kept.values(), key=lambda one: [by_number(value) for value in one.repeat])
        cells.append(Cell(dict(settings), tuple(in_order)))
    return cells, outdated


def groups_of(cells: Sequence[Cell], metric: str) -> list[Group]:
    """Groups of cells that share test sets, directly or through other cells; largest first."""
    groups: list[tuple[set, list[Cell]]] = []
    for cell in cells:
        tests, members = set(cell.test_sets), [cell]
        apart = []
        for other in groups:
            if other[0] & tests:
                tests |= other[0]
                members = other[1] + members
            else:
                apart.append(other)
        groups = [*apart, (tests, members)]
    groups.sort(key=lambda group: -len(group[1]))
    names = unique_names([members for _, members in groups])
    return [ranked(name, members, metric) for name, (_, members) in zip(names, groups, strict=True)]


def ranked(name: str, cells: list[Cell], metric: str) -> Group:
    """The group with its cells sorted by the mean of a figure, the best first.

    Partial cells come last, and after them those of which no run has learned anything.
    """
    number: dict[frozenset, int] = defaultdict(int)
    for cell in cells:
        number[cell.test_sets] += 1
    complete = max(number, key=lambda tests: (number[tests], len(tests)))
    order = 1 if metric in LESS_IS_BETTER else -1
    means = {id(cell): float(np.mean(cell.values(metric))) for cell in cells}

    def place(cell: Cell) -> tuple[bool, bool, bool, float]:
        mean = means[id(cell)]
        return (
            not cell.has_learned,
            not cell.is_whole_on(complete),
            bool(np.isnan(mean)),
            mean * order,
        )

    return Group(name, sorted(cells, key=place), complete)


def unique_names(groups: Sequence[list[Cell]]) -> list[str]:
    """Each group's data set, numbered if several groups have the same data set."""
    plain = [", ".join(sorted({cell.settings.get(DATASET, "?") for cell in g})) for g in groups]
    return [
        name if plain.count(name) == 1 else f"{name} ({plain[: place + 1].count(name)})"
        for place, name in enumerate(plain)
    ]
