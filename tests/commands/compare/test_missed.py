"""compare metric=missed: ranked by the share of defective parts that pass, without a training."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest

import flexunet_exp
from flexunet_exp.errors import InputError
from flexunet_exp.scores import region_record
from tests.support import running, storing
from tests.support.region_records import Drawn, record_of

GOOD = [Drawn(f"good{n}").predicted(1, 0, 2, 0.1 * n) for n in range(1, 5)]


def bad(probability: float) -> list[Drawn]:
    return [
        Drawn(f"bad{n}").true(1, 0, 3).predicted(1, 0, 2, p)
        for n, p in enumerate([probability, probability, 0.9, 0.9])
    ]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A sweep of three losses: the best misses nothing, the second half; the third is older."""
    folder = tmp_path_factory.mktemp("missed")
    root, store = storing.make_pictures(folder / "data"), running.store(folder)
    parent = storing.parent_run(store, "losses")
    # The first has the worse Dice, so that it is not first by chance.
    for loss, quality, probability in (
        ("dice", 0.3, 0.6),
        ("focal", 0.8, 0.05),
        ("old", 0.9, None),
    ):
        run_id = storing.stored_run(store, root, [f"loss={loss}"], quality, parent)
        if probability is not None:
            add_regions(store, run_id, [*GOOD, *bad(probability)])
    return folder


def add_regions(store, run_id: str, parts: list[Drawn], splits=("valid", "test")) -> None:
    with TemporaryDirectory() as scratch:
        for split in splits:
            (place := Path(scratch, "evaluation", split)).mkdir(parents=True)
            region_record.save(record_of(parts), place / "regions.npz")
        store.client.log_artifacts(run_id, scratch)


def compared(home: Path, *words: str) -> flexunet_exp.Comparison:
    uri = f"tracking.uri=sqlite:///{home}/mlruns/mlflow.db"
    return flexunet_exp.compare("losses", uri, "metric=missed", *words)


def test_the_run_that_misses_fewest_parts_is_first(home):
    found = compared(home, "at=0.05")
    board = found.leaderboard
    assert board["cell"].tolist() == ["dice", "focal"]
    assert board["val"].tolist() == board["test"].tolist() == [0.0, 0.5]
    assert board["low"][1] < 0.5 < board["high"][1]
    assert board["seed_sd"].isna().all()  # one seed each
    assert found.metric == "val/missed"
    assert any("stops at most 0.05 of the good parts" in note for note in found.notes)


def test_more_false_alarms_leave_fewer_missed(home):
    assert compared(home, "at=1").leaderboard["val"].tolist() == [0.0, 0.0]


def test_runs_without_regions_are_named(home):
    left_out = compared(home).left_out
    assert left_out["run"].tolist() == ["loss=old"]
    assert "no evaluation/valid/regions.npz in the store" in left_out["why"][0]
    with pytest.raises(InputError, match=r"metric=missed: no evaluation/valid/regions.npz"):
        compared(home, "filter='params.loss = \"old\"'")


def test_runs_without_good_parts_are_named(home, tmp_path):
    root, store = storing.make_pictures(tmp_path / "data"), running.store(tmp_path)
    parent = storing.parent_run(store, "losses")
    add_regions(store, storing.stored_run(store, root, ["loss=dice"], 0.5, parent), bad(0.5))
    with pytest.raises(InputError, match="needs good and defective parts in validation"):
        compared(tmp_path)


def test_the_spread_over_seeds_is_that_of_the_share_missed(tmp_path):
    root, store = storing.make_pictures(tmp_path / "data"), running.store(tmp_path)
    parent = storing.parent_run(store, "losses")
    for seed, probability in ((0, 0.6), (1, 0.05)):  # of four, 0 and 2 are missed
        words = ["loss=dice", f"trainer.seed={seed}"]
        run_id = storing.stored_run(store, root, words, 0.5, parent)
        add_regions(store, run_id, [*GOOD, *bad(probability)])
    board = compared(tmp_path).leaderboard
    assert board["pooled"].tolist() == [0.25]
    assert board["seed_sd"].tolist() == [pytest.approx(np.std([0, 0.5], ddof=1))]


@pytest.fixture(scope="module")
def tested(tmp_path_factory) -> Path:
    """Three losses on 12 good and 12 defective parts; the worst by Dice misses the fewest."""
    folder = tmp_path_factory.mktemp("tested")
    root, store = storing.make_pictures(folder / "data"), running.store(folder)
    parent = storing.parent_run(store, "losses")
    good = [Drawn(f"good{n}").predicted(1, 0, 2, 0.1) for n in range(12)]
    for loss, quality, missed in (("dice", 0.3, 0), ("focal", 0.8, 9), ("untested", 0.9, 12)):
        run_id = storing.stored_run(store, root, [f"loss={loss}"], quality, parent)
        drawn = [
            Drawn(f"bad{n:02}").true(1, 0, 3).predicted(1, 0, 2, 0.05 if n < missed else 0.8)
            for n in range(12)
        ]
        splits = ("valid",) if loss == "untested" else ("valid", "test")
        add_regions(store, run_id, good + drawn, splits)
        if loss == "untested":
            store.log_metrics(run_id, [("val/dice", 0.1, 0, 0)])
    return folder


def test_pairs_are_tested_by_the_share_missed(tested):
    with pytest.raises(InputError, match="no evaluation/test/regions.npz"):
        compared(tested, "filter='params.loss = \"untested\"'")
    pairs = compared(tested).pairs
    assert pairs[["first", "second"]].values.tolist() == [["dice", "focal"]]
    (pair,) = pairs.to_dict("records")
    assert pair["difference"] == -0.75  # focal passes 9 of 12
    assert pair["low"] < -0.75 < pair["high"] < 0 and pair["p"] < 0.01
    assert (pair["sources"], pair["verdict"]) == (24, "better")  # although its Dice is worse
    said = running.flexunet(tested, "compare", "runs=losses", "metric=missed").stdout
    assert "its share of missed parts differs by -0.750" in " ".join(said.split())


def test_few_parts_have_no_verdict(home):
    (pair,) = compared(home).pairs.to_dict("records")
    assert pair["verdict"] == "no verdict" and "8 sources" in pair["because"]


def test_the_page_shows_the_share_and_its_interval(home):
    done = running.flexunet(home, "compare", "runs=losses", "metric=missed")
    assert done.returncode == 0, done.stdout
    (page,) = home.glob("outputs/*/*_compare/compare/compare.html")
    assert "95 % on test" in page.read_text() and "val/missed" in done.stdout
    board = pd.read_csv(page.with_name("leaderboard.csv"))
    assert board["cell"].tolist() == ["dice", "focal"]
