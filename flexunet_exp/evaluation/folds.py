"""Scores several runs as one: folds out-of-fold, runs of one test set as an ensemble.

Every test picture is predicted only by networks that had it as a test picture.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pandas as pd

from flexunet_exp.config import compose
from flexunet_exp.config.options import describes_recipe
from flexunet_exp.data import dataset as datasets
from flexunet_exp.errors import InputError
from flexunet_exp.runs.folder import FinishedRun

log = logging.getLogger(__name__)

FOLDS_OWN = ("split.fold", "trainer.seed")


def table_of(run: FinishedRun) -> pd.DataFrame:
    """The run's sample table; InputError for a network's file, which has no table."""
    if not run.samples.is_file():
        raise InputError(
            f"{run.network} has no pictures of its own. Name the data to score it on: dataset=NAME"
        )
    return datasets.read_table(run.samples)


def groups(runs: Sequence[FinishedRun], ensemble: bool) -> list[list[FinishedRun]]:
    """The runs in groups of the same test pictures.

    Raises InputError where a group has several runs and `ensemble` is false, and where two groups
    share some but not all test pictures: they are neither folds nor an ensemble.
    """
    by_test: dict[frozenset[str], list[FinishedRun]] = {}
    for run in runs:
        by_test.setdefault(test_pictures(run), []).append(run)
    problems = overlaps(by_test)
    problems += same_names([group[0] for group in by_test.values()])
    together = [group for group in by_test.values() if len(group) > 1]
    if together and not ensemble:
        problems += [
            f"{len(group)} runs have the same test pictures ({', '.join(map(label, group))}). Name "
            "one of them, or add ensemble=true to average their probabilities."
            for group in together
        ]
    if problems:
        raise InputError(problems)
    warn_of_differences(runs)
    return list(by_test.values())


def test_pictures(run: FinishedRun) -> frozenset[str]:
    table = table_of(run)
    return frozenset(table.loc[table["split"] == "test", "sha256"])


def overlaps(by_test: dict[frozenset[str], list[FinishedRun]]) -> list[str]:
    seen: set[str] = set()
    problems = []
    for pictures, group in by_test.items():
        if shared := len(pictures & seen):
            problems.append(
                f"{label(group[0])} shares {shared} of its {len(pictures)} test pictures with "
                "another of these runs, but not all: they are neither folds of one split nor runs "
                "of one test set. Name the folds of one split, or runs of one test set."
            )
        seen |= pictures
    return problems


def same_names(runs: Sequence[FinishedRun]) -> list[str]:
    """A problem where different test pictures have one name, since each name is one file."""
    names = [name for run in runs for name in names_in(run, "test")]
    double = sorted({name for name in names if names.count(name) > 1})
    if not double:
        return []
    return [
        f"{len(double)} names belong to several different test pictures, such as {double[0]}: "
        "these runs are of different data sets. Score them one by one."
    ]


def names_in(run: FinishedRun, split: str) -> list[str]:
    table = table_of(run)
    return [datasets.sample_name(row) for row in datasets.rows(table[table["split"] == split])]


def has_valid(by_test: Sequence[Sequence[FinishedRun]]) -> bool:
    """Whether validation pictures can be scored.

    They can where the runs of each group have the same ones, and no picture is in two groups.
    """
    alike = all(len({frozenset(names_in(r, "valid")) for r in group}) == 1 for group in by_test)
    names = [name for group in by_test for name in names_in(group[0], "valid")]
    if alike and len(set(names)) == len(names):
        return True
    log.info("The runs differ in their validation pictures, so only test pictures are scored.")
    return False


def missing_folds(runs: Sequence[FinishedRun]) -> str:
    """A sentence with the folds of the split that these runs lack; empty if none is lacking."""
    splits = [run.cfg.split for run in runs if "fold" in run.cfg.get("split", {})]
    if len(runs) < 2 or not splits:
        return ""
    number = splits[0].n
    lacking = sorted(set(range(number)) - {split.fold for split in splits})
    if not lacking:
        return ""
    return f"without fold {', '.join(map(str, lacking))} of {number}: some pictures are not scored"


def warn_of_differences(runs: Sequence[FinishedRun]) -> None:
    """Logs a warning where the runs' recipes differ in more than fold and seed."""
    recipes = [recipe(run) for run in runs]
    differing = sorted(
        key
        for key in set().union(*recipes)
        if len({str(settings.get(key)) for settings in recipes}) > 1
    )
    if differing:
        log.warning("These runs differ in %s, but are scored as one.", ", ".join(differing))


def recipe(run: FinishedRun) -> dict[str, Any]:
    """A run's settings that folds should share, flattened: `optimizer.learning_rate` …"""
    flat = pd.json_normalize(compose.plain(run.cfg)).iloc[0].to_dict()
    return {str(key): value for key, value in flat.items() if is_alike(str(key))}


def is_alike(key: str) -> bool:
    """Whether folds of one recipe share this option; `score.*` is that of the command instead."""
    return describes_recipe(key) and key not in FOLDS_OWN and not key.startswith("score.")


def label(run: FinishedRun) -> str:
    return run.run_id or str(run.folder)
