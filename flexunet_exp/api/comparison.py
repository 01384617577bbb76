"""Runs compared in Python, as `flexunet compare` compares them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from flexunet_exp.api import settings
from flexunet_exp.api.run import Run

Name = str | os.PathLike | Run


@dataclass(frozen=True)
class Comparison:
    """Cells ranked by a validation figure, and the leaders in pairs on the same test pictures."""

    title: str
    metric: str
    leaderboard: pd.DataFrame  # one row per cell, best first within each `group`
    pairs: pd.DataFrame  # one row per pair of leaders: difference, 95 % interval, p, verdict
    left_out: pd.DataFrame  # one row per run that is not ranked, and why
    notes: tuple[str, ...]  # sentences on what the tables do not show


def compare(runs: Name | Iterable[Name] | None = None, *overrides: str) -> Comparison:
    """Compares runs of the store: ids, folders, names of sweeps, loaded runs, `latest`, `all`.

    Without `runs` it compares the newest sweep, or all runs if there is no sweep. `overrides` are
    options of `flexunet compare`, such as "metric=val/iou" or "tracking.uri=http://HOST:5000".
    Raises InputError if a name matches no run of the store, or no run can be ranked.

    >>> import flexunet_exp
    >>> compared = flexunet_exp.compare(["all"], "metric=val/dice")
    >>> int(compared.leaderboard["rank"].iloc[0])
    1
    >>> "verdict" in compared.pairs
    True
    """
    from flexunet_exp.commands.compare import command, tables

    listed = [runs] if isinstance(runs, Name) else runs
    named = None if listed is None else list(map(name_of, listed))
    cfg = settings.composed("compare", overrides, "runs", named)
    with TemporaryDirectory(prefix="flexunet_compare_") as scratch:
        found, _, _ = command.read(cfg, Path(scratch))
    return Comparison(
        found.title,
        found.metric,
        tables.all_leaderboards(found),
        tables.all_pairs(found),
        tables.left_out(found),
        tuple(found.notes),
    )


def name_of(run: Name) -> str:
    if isinstance(run, Run):
        return run.run_id or str(run.folder)
    return os.fspath(run)
