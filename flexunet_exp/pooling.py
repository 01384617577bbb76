"""How several runs are scored as one: folds out-of-fold, runs of one test set as an ensemble.

Every picture is predicted by networks that had it as a test picture, and by no other.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from flexunet_exp import config
from flexunet_exp.data import dataset as datasets
from flexunet_exp.errors import InputError
from flexunet_exp.runs import FinishedRun

log = logging.getLogger(__name__)

WITHOUT_MEANING = ("tracking", "predict", "score", "rerun", "callbacks")  # for what a recipe is


def table_of(run: FinishedRun) -> pd.DataFrame:
    """The run's sample table; InputError for a network's file, which has none."""
    if not run.samples.is_file():
        raise InputError(
            f"{run.network} has no pictures of its own. Say which to score it on: dataset=NAME"
        )
    return datasets.read_table(run.samples)


def groups(runs: Sequence[FinishedRun], ensemble: bool) -> list[list[FinishedRun]]:
    """The runs by their test pictures, those of a group having the same ones.

    Raises InputError where a group has several runs and no `ensemble` was asked for, or where two
    groups share some test pictures but not all: then they are neither folds nor an ensemble.
    """
    by_test: dict[frozenset[str], list[FinishedRun]] = {}
    for run in runs:
        by_test.setdefault(test_pictures(run), []).append(run)
    problems = overlaps(by_test)
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
                "of one test set. Name runs that are."
            )
        seen |= pictures
    return problems


def warn_of_differences(runs: Sequence[FinishedRun]) -> None:
    """Says in what the runs' recipes differ beside fold and seed: pooled, they are one score."""
    recipes = [recipe(run) for run in runs]
    differing = sorted(
        key
        for key in set().union(*recipes)
        if len({str(settings.get(key)) for settings in recipes}) > 1
    )
    if differing:
        log.warning("These runs differ in %s, and are scored as one.", ", ".join(differing))


def recipe(run: FinishedRun) -> dict[str, Any]:
    """A run's settings that should be alike among folds, flattened: `optimizer.learning_rate` …"""
    settings = config.plain(OmegaConf.masked_copy(run.cfg, recipe_sections(run)))
    flat = pd.json_normalize(settings).iloc[0].to_dict()
    for own in ("split.fold", "trainer.seed", "trainer.resume", "trainer.save_every"):
        flat.pop(own, None)
    return {str(key): value for key, value in flat.items()}


def recipe_sections(run: FinishedRun) -> list[str]:
    return [str(name) for name in run.cfg if name not in WITHOUT_MEANING]


def label(run: FinishedRun) -> str:
    return run.run_id or str(run.folder)
