"""compare metric=missed: ranked by the share of defective parts that pass, without a training."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

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


def add_regions(store, run_id: str, parts: list[Drawn]) -> None:
    with TemporaryDirectory() as scratch:
        for split in ("valid", "test"):
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


def test_the_page_shows_the_share_and_its_interval(home):
    done = running.flexunet(home, "compare", "runs=losses", "metric=missed")
    assert done.returncode == 0, done.stdout
    (page,) = home.glob("outputs/*/*_compare/compare/compare.html")
    assert "95 % on test" in page.read_text() and "val/missed" in done.stdout
    board = pd.read_csv(page.with_name("leaderboard.csv"))
    assert board["cell"].tolist() == ["dice", "focal"]
