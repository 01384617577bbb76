"""What is read of a local store without MLflow, against stores that MLflow made."""

import os
import sqlite3
from contextlib import closing

import pytest

from flexunet_exp.tracking.sqlite_peek import SCHEMA, surely_new
from flexunet_exp.tracking.store import SIGNATURE, Store
from tests.support.running import all_runs, python, train

CALLBACK = """
import sys
import keras

class Loaded(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append("mlflow" in sys.modules)

    def on_train_end(self, logs=None):
        print("loaded after each step:", self.seen)
"""


@pytest.fixture
def uri(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def store(uri) -> Store:
    return Store(uri, "flexunet")


def execute(tmp_path, statement: str) -> list:
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
        return database.execute(statement).fetchall()


def test_the_schema_is_the_one_that_the_pinned_mlflow_makes(store, tmp_path):
    assert execute(tmp_path, "SELECT version_num FROM alembic_version") == [(SCHEMA,)]


def test_work_is_new_until_a_run_has_one_of_its_signatures(store, uri):
    assert surely_new(uri, "flexunet", ["abc", "2:abc"])
    store.create_run("another", {SIGNATURE: "abd", "overrides": "abc"})
    assert surely_new(uri, "flexunet", ["abc", "2:abc"])
    store.create_run("this", {SIGNATURE: "2:abc"})
    assert not surely_new(uri, "flexunet", ["abc", "2:abc"])


def test_only_mlflow_says_what_it_would_refuse_or_make(store, uri, tmp_path):
    assert not surely_new(uri, "another experiment", ["abc"])
    assert not surely_new("http://127.0.0.1:5000", "flexunet", ["abc"])
    assert not surely_new(f"sqlite:///{tmp_path}/none.db", "flexunet", ["abc"])
    store.client.delete_experiment(store.experiment_id)
    assert not surely_new(uri, "flexunet", ["abc"])


@pytest.mark.parametrize(
    "statement",
    ["UPDATE alembic_version SET version_num = 'ffff'", "DROP TABLE tags"],
)
def test_tables_of_another_version_are_left_to_mlflow(store, uri, tmp_path, statement):
    execute(tmp_path, statement)
    assert not surely_new(uri, "flexunet", ["abc"])


def test_a_file_that_is_no_database_is_left_to_mlflow(uri, tmp_path):
    (tmp_path / "mlflow.db").write_text("rubbish")
    assert not surely_new(uri, "flexunet", ["abc"])


def test_looking_changes_nothing(store, uri, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    surely_new(uri, "flexunet", ["abc"])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


@pytest.mark.heavy
def test_a_new_run_takes_its_first_step_without_mlflow(tmp_path, tiny, monkeypatch):
    """In a process that has imported nothing: those of the other tests have MLflow already."""
    made = train(tmp_path, *tiny, "callbacks=none", "trainer.seed=1")
    assert made.returncode == 0, made.stdout
    (tmp_path / "own_callback.py").write_text(CALLBACK)
    monkeypatch.setenv("FLEXUNET_TRUSTED", "own_callback")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.getcwd()]))
    words = [
        *tiny,
        "callbacks=none",
        "trainer.seed=2",
        "+callbacks.own._target_=own_callback.Loaded",
    ]
    done = python(tmp_path, "from flexunet_exp import cli; cli.main()", "train", *words)
    assert done.returncode == 0, done.stdout
    assert "loaded after each step: [False, True" in done.stdout
    assert [run.info.status for run in all_runs(tmp_path)] == ["FINISHED", "FINISHED"]
