"""The parent run of a sweep: its name, its winner, and how its cells ended."""

from __future__ import annotations

import math

import pytest

from flexunet_exp.runs.outcome import Outcome, keep_outcome, read_outcome
from flexunet_exp.sweeps.parent_run import Multirun, counts_of, name_of, winner_of
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
    found = Multirun(TrackingSettings(uri, "flexunet"), tmp_path / "folder")
    found.open_parent(["loss=dice,focal"], "abc", "failed", axes)
    return found


def test_the_parent_carries_the_winners_figures_and_is_found_again(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/mlruns/mlflow.db", "flexunet")
    old = store.create_run("sweep", {SWEEP: "abc"})  # as earlier releases called it
    first = multirun(tmp_path, ["loss", "model.base_filters"])
    assert first.parent_run_id == old
    store.delete_run(old)
    new = multirun(tmp_path, ["loss", "model.base_filters"])
    for number, outcome in enumerate(CELLS):
        (new.folder / str(number)).mkdir(parents=True)
        keep_outcome(new.folder / str(number), outcome)
    assert new.finish() == 1
    parent = store.client.get_run(new.parent_run_id)
    assert parent.info.run_name == "loss × base_filters" and parent.info.status == "FAILED"
    assert parent.data.metrics == {"val/dice": 0.5, "test/dice": 0.4}
    tags = parent.data.tags
    assert (tags["winner"], tags["winner_run_id"]) == ("cell 1", "b")
    assert (tags["cells.finished"], tags["cells.failed"]) == ("3", "1")
    assert multirun(tmp_path, []).parent_run_id == new.parent_run_id
