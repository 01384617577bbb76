"""Every listing of the store goes to its end, however many entries MLflow gives at once."""

from __future__ import annotations

import pytest

from flexunet_exp.errors import InputError
from flexunet_exp.tracking import find_runs, registry
from flexunet_exp.tracking.store import SWEEP, Store
from tests.support import many_runs
from tests.support.many_runs import run_id

COUNT = 1500


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    uri = f"sqlite:///{tmp_path_factory.mktemp('many')}/mlflow.db"
    return Store(uri, "flexunet")


@pytest.fixture(scope="module")
def parent(store) -> str:
    """A multirun of 1,500 cells, older than all of them."""
    parent = store.create_run("sweep", {SWEEP: "abc"}, start=0)
    many_runs.add_cells(store, parent, COUNT)
    return parent


def test_a_sweep_is_all_of_its_cells(store, parent):
    cells = store.cells(store.run_of(parent, ""))
    assert [cell.info.run_id for cell in cells] == [run_id(number) for number in range(COUNT)]


def test_the_best_run_is_found_among_all(store, parent):
    assert find_runs.find_in_store(store, "best", "val/dice").info.run_id == run_id(0)
    assert find_runs.find_in_store(store, "latest", "val/dice").info.run_id == run_id(COUNT - 1)


@pytest.mark.parametrize("number", [0, 100, COUNT - 1])
def test_work_that_was_done_long_ago_is_found(store, parent, number):
    assert store.ended("same", str(number), "failed").info.run_id == run_id(number)


def test_every_run_that_began_a_work_is_known(store, parent):
    begun = store.begun("same")
    assert len(begun) == COUNT and begun["/runs/0"] == (run_id(0), "FINISHED")
    assert len(store.signed("same")) == COUNT
    assert len(list(store.search())) == COUNT + 1


def test_all_names_are_offered(store, tmp_path):
    """MLflow gives 100 registered models and 1,000 experiments at once."""
    many_runs.add_names(store, many_runs.MODEL, (f"model{n:03}" for n in range(150)))
    with pytest.raises(InputError, match=r"models:/model149 names no version"):
        registry.fetch_registered(store, "models:/model149", tmp_path)
    many_runs.add_names(store, many_runs.EXPERIMENT, (f"e{n:04}" for n in range(1200)))
    names = Store(store.uri, "missing", create=False).no_experiment("e120")
    assert "e0000" in names and "e1199" in names
