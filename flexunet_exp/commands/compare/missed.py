"""Ranks runs by the share of defective parts missed, from the regions that evaluations kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from flexunet_exp.commands.compare import evidence
from flexunet_exp.commands.compare.cells import Cell
from flexunet_exp.commands.compare.evidence import Evidence, Files, Tested
from flexunet_exp.commands.compare.selection import Trial
from flexunet_exp.decisions import missed
from flexunet_exp.decisions.missed import Missed, Parts
from flexunet_exp.errors import InputError
from flexunet_exp.scores import region_record
from flexunet_exp.scores.paired import PairedDifference
from flexunet_exp.scores.region_record import REGIONS, RegionRecord

log = logging.getLogger(__name__)

MISSED = "missed"  # metric=missed
SPLITS = {"valid": "val", "test": "test"}  # folder of the evaluation → prefix of the figure


def measured(
    trials: Sequence[Trial], files: Files, at: float
) -> tuple[list[Trial], list[tuple[Trial, str]]]:
    """The runs with the figures val/missed and test/missed; and those that have none, and why."""
    found, without = [], []
    for number, trial in enumerate(trials, start=1):
        log.info("Reading the regions of run %d of %d: %s", number, len(trials), trial.name)
        try:
            found.append(replace(trial, metrics={**trial.metrics, **figures(trial, files, at)}))
        except InputError as error:
            without.append((trial, " ".join(error.problems)))
    return found, without


def figures(trial: Trial, files: Files, at: float) -> dict[str, float]:
    """The figures of a run; InputError where validation has none."""
    shares = {}
    for split, prefix in SPLITS.items():
        if split == "valid" or trial.is_tested:
            shares[f"{prefix}/{MISSED}"] = missed.share(
                missed.risks_of(regions(trial, files, split)), at
            )
    if np.isnan(shares[f"val/{MISSED}"]):
        raise InputError(
            f"metric={MISSED} needs good and defective parts in validation, and there are only "
            "one of these kinds"
        )
    return shares


def regions(trial: Trial, files: Files, split: str) -> RegionRecord:
    path = files.find(trial, f"evaluation/{split}/{REGIONS}")
    if path is None:
        raise InputError(
            f"no evaluation/{split}/{REGIONS} in the store: it was scored by an earlier version. "
            "Train it again with rerun=all"
        )
    return region_record.load(path)


def on_test(cell: Cell, files: Files, at: float) -> Missed | None:
    """The share missed on the test parts of all folds together, the mean over seeds.

    None where a run was not tested, or lacks its regions.
    """
    try:
        replicates = [
            region_record.pooled([regions(trial, files, "test") for trial in runs])
            for runs in cell.replicates.values()
        ]
    except InputError:
        return None
    return missed.estimate([missed.risks_of(record) for record in replicates], at)


class Pairing:
    """Compares leaders in pairs by the share missed on test; reads the regions of a run once."""

    def __init__(self, files: Files, at: float):
        self.files, self.at = files, at
        self.known: dict[tuple[str, ...], Parts] = {}

    def __call__(self, first: Evidence, second: Evidence) -> PairedDifference:
        """The paired difference; InputError where regions or common test parts are missing."""
        units = [
            (self.parts_of(one.runs), self.parts_of(other.runs))
            for one, other in evidence.common_units(first, second)
        ]
        try:
            return missed.paired_difference(units, self.at)
        except ValueError as error:
            raise InputError("the parts of their test pictures differ") from error

    def parts_of(self, replicates: Sequence[Sequence[Tested]]) -> list[Parts]:
        """The test parts of all folds together, of each replicate."""
        return [self.of_replicate([one.trial for one in runs]) for runs in replicates]

    def of_replicate(self, trials: Sequence[Trial]) -> Parts:
        key = tuple(trial.run_id for trial in trials)
        if key not in self.known:
            records = [self.tested(trial) for trial in trials]
            self.known[key] = missed.parts_of(region_record.pooled(records))
        return self.known[key]

    def tested(self, trial: Trial) -> RegionRecord:
        try:
            return regions(trial, self.files, "test")
        except InputError as error:
            raise InputError(f"run {trial.name}: {' '.join(error.problems)}") from error


def note(at: float) -> str:
    """What the figure is."""
    return (
        f"{MISSED} is the share of defective parts that pass at the best of 19 thresholds that "
        f"stops at most {at:g} of the good parts; less is better. Its interval is over parts. The "
        "pairs compare the same figure."
    )
