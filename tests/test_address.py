"""Where a store is: any folder name, a file that another process has."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexunet_exp import address
from flexunet_exp.errors import InputError
from flexunet_exp.store import Store

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)


@given(NAMES)
def test_a_path_comes_back_from_its_address(name):
    path = Path("/stores", name)
    assert address.sqlite_file(address.sqlite_uri(path)) == path
    uri = address.sqlite_uri(path)
    assert "?" not in uri and address.sqlite_uri(address.sqlite_file(uri)) == uri


@pytest.mark.parametrize("name", ["my%20data", "a%41", "what?", "it's", "#1", "ü ;&\\"])
def test_a_store_lies_in_a_folder_of_any_name(tmp_path, monkeypatch, name):
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    store = Store("sqlite:///mlruns/mlflow.db", "flexunet")
    run_id = store.create_run("run", {})
    (folder / "figure.txt").write_text("1")
    store.log_files(run_id, folder / "figure.txt", "figures")
    again = Store(store.uri, "flexunet")
    assert [run.info.run_id for run in again.search()] == [run_id]
    assert (folder / f"mlruns/artifacts/{run_id}/artifacts/figures/figure.txt").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_stopped_process_that_holds_the_store_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(address, "LOCK_SECONDS", 0.1)
    with open(tmp_path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="fuser .*lock shows its number"):
            Store(f"sqlite:///{tmp_path}/mlflow.db", "flexunet")


def test_what_is_delivered_is_stored_when_the_call_returns(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_LOGGING", "true")
    store = Store(f"sqlite:///{tmp_path}/mlflow.db", "flexunet")
    run_id = store.create_run("run", {})
    store.log_metrics(run_id, [("dice", 0.5, 1, step) for step in range(200)])
    assert len(store.client.get_metric_history(run_id, "dice")) == 200
