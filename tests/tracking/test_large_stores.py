"""Commands over stores of many runs: they find what a reading of all runs would find.

On SQLite, and on a server with PostgreSQL.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest

from flexunet_exp.api.comparison import compare
from flexunet_exp.tracking import find_runs
from flexunet_exp.tracking.store import LEARNED, MINUTES, PARENT, SIGNATURE, SWEEP, Store
from tests.support import storing
from tests.support.copied_runs import Copy, Database
from tests.support.serving_store import Postgres, Server

SWEEPS, CELLS, SEEDS = 11, 50, 2  # 1,100 copied runs: more than MLflow lists at once
HOUR = 3_600_000
LOSSES = ("dice", "ce_dice")


@dataclass(frozen=True)
class Written:
    """A copy's values, as the test wrote them."""

    run_id: str
    sweep: int
    rate: str
    seed: str
    dice: float


@dataclass
class Shelf:
    """A store, and what was written into it."""

    store: Store
    runs: list[Written]

    @property
    def where(self) -> str:
        return f"tracking.uri='{self.store.uri}'"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shelf(request, tmp_path_factory) -> Iterator[Shelf]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        uri = f"sqlite:///{folder}/mlflow.db"
        yield filled(Store(uri, "flexunet"), folder, uri)
        return
    database = Postgres()
    server = Server(folder, database.uri)
    try:
        server.start()
        yield filled(Store(server.uri, "flexunet"), folder, database.uri)
    finally:
        server.kill()
        database.stop()


def filled(store: Store, folder: Path, database: str) -> Shelf:
    """The store with sweeps of copies of one run, all newer than it; the best is the oldest."""
    root = storing.make_pictures(folder / "data")
    parent = storing.parent_run(store, "original")
    store.log_metrics(parent, [("val/dice", 1.0, 1, 0)])  # as a sweep has those of its winner
    store.end_run(parent, "FINISHED")
    original = storing.stored_run(store, root, ["loss=dice"], 0.8, parent)
    tables = Database(database)
    tables.known[original] = light(tables.read(original))
    draw, runs = random.Random(0), []
    for sweep in range(SWEEPS):
        start = store.run_of(parent, "").info.start_time + (sweep + 1) * HOUR
        own = f"{sweep + 1:032x}"
        tags = {SWEEP: str(sweep)}
        copies = [Copy(parent, own, f"sweep {sweep}", start, tags)]
        for number in range(CELLS * SEEDS):
            one = Written(
                f"{sweep + 1:016x}{number + 1:016x}",
                sweep,
                f"0.{sweep:02}{number // SEEDS:02}1",
                str(number % SEEDS),
                draw.uniform(0.1, 0.9),
            )
            if sweep == number == 0:
                one = replace(one, dice=0.99)
            if (sweep, number) == (SWEEPS - 1, CELLS * SEEDS - 1):
                one = replace(one, dice=0.995)  # a run that has learned nothing
            runs.append(one)
            copies.append(copy(original, own, one, start + number))
        tables.add(copies)
    return Shelf(store, runs)


def light(rows: dict) -> dict:
    """The rows of a run with the figures alone that a comparison needs: MLflow reads them fast."""
    return rows | {"metrics": [], "latest_metrics": rows["latest_metrics"][:12]}


def copy(original: str, parent: str, one: Written, start: int) -> Copy:
    words = f"loss=dice optimizer.learning_rate={one.rate} trainer.seed={one.seed}"
    tags = {PARENT: parent, SIGNATURE: f"s{one.run_id}", "overrides": words, MINUTES: "2.0"}
    if one.seed == "1" and one.sweep == SWEEPS - 1:
        tags[LEARNED] = "false"
    params = {"learning_rate": one.rate, "seed": one.seed}
    figures = {"val/dice": one.dice, "test/dice": one.dice / 2}
    return Copy(original, one.run_id, f"rate={one.rate}", start, tags, params, figures)


def means(runs: list[Written]) -> pd.Series:
    """The mean figure of each rate, the best first."""
    table = pd.DataFrame(runs)
    return table.groupby("rate")["dice"].mean().sort_values(ascending=False)


def test_the_newest_sweep_is_ranked_as_its_figures_say(shelf):
    expected = means([one for one in shelf.runs if one.sweep == SWEEPS - 1])
    board = compare(None, shelf.where, "top=1").leaderboard
    assert list(board["learning_rate"]) == list(expected.index)
    assert board["val"].to_numpy() == pytest.approx(expected.to_numpy())
    assert board["test"].to_numpy() == pytest.approx(expected.to_numpy() / 2)
    assert set(board["runs"]) == {SEEDS}


def test_an_old_sweep_is_found_by_its_name(shelf):
    expected = means([one for one in shelf.runs if one.sweep == 0])
    board = compare("sweep 0", shelf.where, "top=1").leaderboard
    assert list(board["learning_rate"]) == list(expected.index)


def test_the_best_of_all_runs_is_found_though_it_is_the_oldest(shelf):
    found = find_runs.find_in_store(shelf.store, "best", "val/dice")
    assert found.info.run_id == shelf.runs[0].run_id
    newest = find_runs.find_in_store(shelf.store, "latest", "val/dice")
    assert newest.info.run_id == shelf.runs[-1].run_id


def test_old_work_is_found_again(shelf):
    for one in (shelf.runs[0], shelf.runs[-1]):
        (found,) = shelf.store.signed(f"s{one.run_id}")
        assert found.info.run_id == one.run_id


def test_all_runs_are_compared(shelf):
    expected = means(shelf.runs)
    board = compare("all", shelf.where, "top=1").leaderboard
    ranked = dict(zip(board["learning_rate"], board["val"], strict=True))
    assert {rate: ranked[rate] for rate in expected.index} == pytest.approx(dict(expected))
    assert board["runs"].sum() == len(shelf.runs) + 1  # with the original
