"""The predictions of a cell's runs on their test pictures, read from the store."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from flexunet_exp.commands.compare.cells import Cell
from flexunet_exp.commands.compare.selection import Trial
from flexunet_exp.data import dataset as datasets
from flexunet_exp.errors import InputError
from flexunet_exp.scores import confusions, paired
from flexunet_exp.scores.paired import PairedDifference, Part
from flexunet_exp.scores.record import CONFUSIONS
from flexunet_exp.tracking import artifacts
from flexunet_exp.tracking.store import Store

TEST = "evaluation/test"


@dataclass(frozen=True)
class Tested:
    """A run's test pictures and its confusion counts on them, in the same order."""

    trial: Trial
    pictures: pd.DataFrame  # the sample table's rows, with the `name` the evaluation gave each
    counts: np.ndarray  # (N, C, C) int64
    classes: tuple[str, ...]

    @property
    def keys(self) -> list[tuple[str, str]]:
        return list(zip(self.pictures["name"], self.pictures["sha256"], strict=True))

    def in_order_of(self, keys: Sequence[tuple[str, str]]) -> np.ndarray:
        """The counts of these pictures; InputError if they are not the run's test pictures."""
        place = {key: index for index, key in enumerate(self.keys)}
        if set(place) != set(keys):
            raise InputError("they were tested on other pictures")
        return self.counts[[place[key] for key in keys]]


class Files:
    """The files of runs: in the store's own folder, or downloaded once into `folder`."""

    def __init__(self, store: Store, folder: Path):
        self.store, self.folder = store, folder

    def find(self, trial: Trial, name: str) -> Path | None:
        (own := self.folder / trial.run_id).mkdir(exist_ok=True)
        return artifacts.fetch_file(self.store, trial.artifact_uri, name, own)

    def require(self, trial: Trial, name: str) -> Path:
        if (path := self.find(trial, name)) is None:
            raise InputError(
                f"Run {trial.name} ({trial.run_id}) has no {name} in the store. If its run folder "
                "has an outbox, upload it with `flexunet sync run=FOLDER`; else leave the run out, "
                "or train it again with rerun=all."
            )
        return path

    def tested(self, trial: Trial) -> Tested:
        """A run's scores; InputError if a file is missing, damaged, or of other pictures."""
        if not trial.is_tested:
            raise InputError(
                f"run {trial.name} ({trial.run_id}) has no test pictures, so it is ranked by "
                "validation alone."
            )
        kept = confusions.load_counts(self.require(trial, f"{TEST}/{CONFUSIONS}"))
        table = datasets.read_table(self.require(trial, "samples.csv"))
        test = table[table["split"] == "test"]
        test = test.assign(name=[datasets.sample_name(row) for row in datasets.rows(test)])
        names = kept.names.tolist()
        if sorted(names) != sorted(test["name"]):
            raise InputError(
                f"Run {trial.name} ({trial.run_id}): its scores are of other pictures than the "
                "test pictures in its sample table. Leave it out, or train it again with rerun=all."
            )
        pictures = test.set_index("name").loc[names].reset_index()
        return Tested(trial, pictures, kept.counts, tuple(kept.classes.tolist()))

    def parameters(self, trial: Trial) -> int | None:
        """The network's number of parameters, from the run's model.txt; None if it is missing."""
        path = self.find(trial, "config/model.txt")
        found = re.search(r"^parameters: +([\d,]+)", path.read_text(), re.M) if path else None
        return int(found[1].replace(",", "")) if found else None


class Unit(NamedTuple):
    """Test pictures that each replicate predicted once: all folds of a split, or one test set."""

    pictures: pd.DataFrame
    counts: np.ndarray  # (S, N, C, C) for S replicates
    runs: list[list[Tested]]  # of each replicate


@dataclass(frozen=True)
class Evidence:
    """All that a cell's runs predicted."""

    cell: Cell
    tested: list[Tested]
    parameters: int | None

    @property
    def classes(self) -> tuple[str, ...]:
        return self.tested[0].classes

    def units(self, digests: frozenset[str] | None = None) -> dict[frozenset[str], Unit]:
        """Test digests → the replicates tested on all of them; `digests` limits the test sets."""
        by_replicate: dict[Any, list[Tested]] = defaultdict(list)
        for one in self.tested:
            if digests is None or one.trial.test_digest in digests:
                by_replicate[one.trial.replicate].append(one)
        alike: dict[frozenset[str], list[list[Tested]]] = defaultdict(list)
        for runs in by_replicate.values():
            runs.sort(key=lambda one: one.trial.test_digest)
            alike[frozenset(one.trial.test_digest for one in runs)].append(runs)
        return {tests: unit_of(replicates) for tests, replicates in alike.items()}

    @cached_property
    def pooled(self) -> dict[str, float]:
        """Test figures of the counts pooled over all folds, the mean over replicates."""
        figures = [
            confusions.summary(counts, self.classes)
            for unit in self.units().values()
            for counts in unit.counts
        ]
        return {name: float(np.mean([one[name] for one in figures])) for name in figures[0]}

    @cached_property
    def spread(self) -> float:
        """Standard deviation of the pooled macro Dice over replicates; NaN with only one."""
        dice = [
            confusions.summary(counts, self.classes)["dice"]
            for unit in self.units().values()
            for counts in unit.counts
        ]
        return float(np.std(dice, ddof=1)) if len(dice) > 1 else float("nan")


def unit_of(replicates: list[list[Tested]]) -> Unit:
    pictures = pd.concat([one.pictures for one in replicates[0]], ignore_index=True)
    counts = [
        np.concatenate(
            [one.in_order_of(like.keys) for one, like in zip(runs, replicates[0], strict=True)]
        )
        for runs in replicates
    ]
    return Unit(pictures, np.stack(counts), replicates)


def of_cell(cell: Cell, files: Files) -> Evidence:
    """Reads a cell's runs; InputError with every missing file and every mismatch."""
    problems: list[str] = []
    tested = []
    for trial in cell.trials:
        try:
            tested.append(files.tested(trial))
        except InputError as error:
            problems += error.problems
    if len({one.classes for one in tested}) > 1:
        problems.append(f"The runs of the cell of {cell.trials[0].name} have different classes.")
    if problems:
        raise InputError(problems)
    return Evidence(cell, tested, files.parameters(cell.trials[0]))


def difference(first: Evidence, second: Evidence) -> PairedDifference:
    """The paired difference of macro Dice; InputError without common test pictures."""
    return paired.paired_difference([part_of(*both) for both in common_units(first, second)])


def common_units(first: Evidence, second: Evidence) -> list[tuple[Unit, Unit]]:
    """The test pictures that both predicted, by each; InputError if there are none."""
    if first.classes != second.classes:
        raise InputError(
            f"they have different classes: {', '.join(first.classes)}; {', '.join(second.classes)}"
        )
    common = digests_of(first) & digests_of(second)
    of_first, of_second = first.units(common), second.units(common)
    both = sorted(set(of_first) & set(of_second), key=sorted)
    if not both:
        raise InputError("none of their seeds has the same test pictures")
    return [(of_first[tests], of_second[tests]) for tests in both]


def digests_of(evidence: Evidence) -> frozenset[str]:
    return frozenset(one.trial.test_digest for one in evidence.tested)


def part_of(first: Unit, second: Unit) -> Part:
    keys = [key for one in first.runs[0] for key in one.keys]
    place = {key: index for index, key in enumerate(k for o in second.runs[0] for k in o.keys)}
    if set(place) != set(keys):
        raise InputError("they were tested on other pictures")
    counts = second.counts[:, [place[key] for key in keys]]
    if not np.array_equal(first.counts[0].sum(axis=2), counts[0].sum(axis=2)):
        raise InputError("the masks of the test pictures changed between the runs")
    sources, labels = (first.pictures[key].to_numpy(str) for key in ("source", "label"))
    return Part(first.counts, counts, sources, labels)
