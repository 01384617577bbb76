"""Where a store is: any folder name, a file that another process has."""

from __future__ import annotations

import fcntl
import re

import pytest

from flexunet_exp.errors import InputError
from flexunet_exp.tracking import address, artifacts, mlflow_client
from flexunet_exp.tracking.store import Store


@pytest.mark.parametrize("name", ["it's", "#1", "ü ;&\\"])
def test_a_store_lies_in_a_folder_of_any_name(tmp_path, monkeypatch, name):
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    store = Store("sqlite:///mlruns/mlflow.db", "flexunet")
    run_id = store.create_run("run", {})
    (folder / "figure.txt").write_text("1")
    artifacts.log_files(store, run_id, folder / "figure.txt", "figures")
    again = Store(store.uri, "flexunet")
    assert [run.info.run_id for run in again.search()] == [run_id]
    assert (folder / f"mlruns/artifacts/{run_id}/artifacts/figures/figure.txt").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["my%20data", "what?"])
def test_a_name_that_an_address_cannot_have_is_refused(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    with pytest.raises(InputError, match="Rename the folder"):
        Store("sqlite:///mlruns/mlflow.db", "flexunet")
    assert [path.name for path in tmp_path.rglob("*")] == [name]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("127.0.0.1:5099", "http://127.0.0.1:5099"),
        ("http://127.0.0.1:5099/#/experiments/1", "http://127.0.0.1:5099"),
        ("/data/x.db", "sqlite:////data/x.db"),
        ("mlruns/mlflow.db", "sqlite:///mlruns/mlflow.db"),
        ("sqlite://mlruns/mlflow.db", "sqlite:///mlruns/mlflow.db"),
    ],
)
def test_what_is_no_address_is_answered_with_the_one_that_was_meant(typed, meant):
    with pytest.raises(InputError, match=re.escape(f"Did you mean {meant}?")):
        address.require_valid(typed)


@pytest.mark.parametrize(
    "typed", ["http//host:5000", "http:/host", "mlruns", "sqlite:///", "http://[::1:5000"]
)
def test_what_is_no_address_is_refused(typed):
    with pytest.raises(InputError, match="Expected sqlite:///PATH"):
        address.require_valid(typed)


def test_a_password_is_not_taken_in_an_address():
    """It would stand in the run folder and in the store."""
    with pytest.raises(InputError, match="MLFLOW_TRACKING_PASSWORD") as refused:
        address.require_valid("https://anna:geheim@example.org")
    assert "geheim" not in str(refused.value)
    with pytest.raises(InputError, match="MLFLOW_TRACKING_PASSWORD") as refused:
        address.require_valid("htp://anna:geheim@example.org")
    assert "geheim" not in str(refused.value)
    with pytest.raises(InputError, match=r"docs/guides/store\.md") as refused:
        address.require_valid("postgresql+psycopg2://anna:geheim@host/db")
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("tracking", "typed"),
    [
        ({"uri": "sqlite:///mlruns/mlflow.db", "experiment_name": "flexunet"}, []),
        (
            {"uri": "http://127.0.0.1:5001", "experiment_name": "screws"},
            ["tracking.uri=http://127.0.0.1:5001", "tracking.experiment_name=screws"],
        ),
    ],
)
def test_a_command_to_type_names_the_store_where_it_must(tmp_path, monkeypatch, tracking, typed):
    folder = tmp_path / ("my%20data" if typed else "data")  # where no local store could be
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert address.store_words(**tracking) == typed


def test_a_server_is_that_of_mlflow_s_own_variable_unless_it_is_named(compose, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert compose("train", "tracking=server").tracking.uri == "http://127.0.0.1:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://store:8080/mlflow")
    assert compose("train", "tracking=server").tracking.uri == "https://store:8080/mlflow"
    named = compose("train", "tracking=server", "tracking.uri='http://other:1'")
    assert named.tracking.uri == "http://other:1"
    assert compose("train").tracking.uri.startswith("sqlite:///")


def test_a_stopped_process_that_holds_the_store_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(mlflow_client, "LOCK_SECONDS", 0.1)
    with open(tmp_path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="fuser .*lock shows its number"):
            Store(f"sqlite:///{tmp_path}/mlflow.db", "flexunet")


def test_what_is_sent_is_stored_when_the_call_returns(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_LOGGING", "true")
    store = Store(f"sqlite:///{tmp_path}/mlflow.db", "flexunet")
    run_id = store.create_run("run", {})
    store.log_metrics(run_id, [("dice", 0.5, 1, step) for step in range(200)])
    assert len(store.client.get_metric_history(run_id, "dice")) == 200
