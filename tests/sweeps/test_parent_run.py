"""The parent run of a sweep: its name, its winner, and how its cells ended."""

from __future__ import annotations

import math

import pytest

from flexunet_exp.runs.outcome import Outcome, keep_outcome, read_outcome
from flexunet_exp.sweeps.parent_run import Multirun, counts_of, means_of, name_of, winner_of
from flexunet_exp.tracking.settings import TrackingSettings
from flexunet_exp.tracking.store import SWEEP, Store


def cell(number: int, status: str, objective: float, **changes) -> Outcome:
    return Outcome(status, f"cell {number}", objective, number=number, **changes)


CELLS = [
    cell(0, "finished", 0.3, run_id="a", figures={"val/dice": 0.3, "test/dice": 0.2}),
    cell(1, "skipped", 0.5, run_id="b", figures={"val/dice": 0.5, "test/dice": 0.4}),
    cell(2, "finished", 0.9, learned=False),
    cell(3, "failed", math.nan),
]


@pytest.mark.parametrize(
    ("axes", "name"),
    [
        (["loss", "model.base_filters"], "loss × base_filters"),
        (["dataset/layout", "split.fold", "trainer.seed"], "layout × fold × seed"),
        ([], "sweep"),
    ],
)
def test_a_sweep_is_called_after_its_axes(axes, name):
    assert name_of(axes) == name


def test_the_winner_has_learned_something(tmp_path):
    assert winner_of(CELLS).number == 1
    assert winner_of(CELLS[2:]) is None
    assert counts_of(CELLS) == {"finished": 3, "failed": 1, "learned_nothing": 1}
    keep_outcome(tmp_path, CELLS[1])
    assert read_outcome(tmp_path) == CELLS[1]


def multirun(tmp_path, axes: list[str]) -> Multirun:
    uri = f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    found = Multirun(TrackingSettings(uri, "flexunet"), tmp_path / "folder", axes)
    found.open_parent(["loss=dice,focal"], "abc", "failed")
    return found


def keep_all(found: Multirun, cells: list[Outcome]) -> None:
    for one in cells:
        (found.folder / str(one.number)).mkdir(parents=True)
        keep_outcome(found.folder / str(one.number), one)


def test_the_parent_carries_the_winners_figures_and_is_found_again(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/mlruns/mlflow.db", "flexunet")
    old = store.create_run("sweep", {SWEEP: "abc"})  # as earlier releases called it
    first = multirun(tmp_path, ["loss", "model.base_filters"])
    assert first.parent_run_id == old
    store.delete_run(old)
    new = multirun(tmp_path, ["loss", "model.base_filters"])
    keep_all(new, CELLS)
    assert new.finish() == 1
    parent = store.client.get_run(new.parent_run_id)
    assert parent.info.run_name == "loss × base_filters" and parent.info.status == "FAILED"
    assert parent.data.metrics == {"val/dice": 0.5, "test/dice": 0.4}
    tags = parent.data.tags
    assert (tags["winner"], tags["winner_run_id"]) == ("cell 1", "b")
    assert (tags["cells.finished"], tags["cells.failed"]) == ("3", "1")
    assert multirun(tmp_path, []).parent_run_id == new.parent_run_id


@pytest.mark.parametrize("axes", [["split.fold"], ["trainer.seed", "split.fold"]])
def test_folds_and_seeds_have_means_and_no_winner(tmp_path, capsys, axes):
    found = multirun(tmp_path, axes)
    keep_all(found, CELLS[:2])
    assert found.finish() == 0
    parent = Store(found.tracking.uri, "flexunet").client.get_run(found.parent_run_id)
    assert parent.data.metrics == pytest.approx({"val/dice": 0.4, "test/dice": 0.3})
    assert "winner" not in parent.data.tags and parent.data.tags["cells.finished"] == "2"
    printed = capsys.readouterr().out
    assert "Mean of 2 cells: objective 0.4000, from 0.3000 to 0.5000" in printed
    assert f"flexunet evaluate run={found.parent_run_id}" in printed
    assert "Winner" not in printed


def test_a_sweep_over_more_than_folds_has_a_winner(tmp_path, capsys):
    found = multirun(tmp_path, ["split.fold", "loss"])
    keep_all(found, CELLS[:2])
    found.finish()
    assert "Winner: cell 1" in capsys.readouterr().out


def test_means_are_of_the_cells_that_are_done_and_of_what_all_of_them_have():
    more = cell(4, "finished", 0.1, figures={"val/dice": 0.1})
    assert means_of([*CELLS[:2], more, CELLS[3]]) == {"val/dice": pytest.approx(0.3)}
    assert means_of(CELLS[3:]) == {}
