"""More runs than MLflow lists at once, written straight into a store's database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, contextmanager

from flexunet_exp.tracking.address import sqlite_file
from flexunet_exp.tracking.store import PARENT, RUN_FOLDER, SCORING, SIGNATURE, Store

RUN = (
    "INSERT INTO runs (run_uuid, name, experiment_id, start_time, status, user_id, lifecycle_stage)"
    " VALUES (?, ?, ?, ?, 'FINISHED', '', 'active')"
)
TAG = "INSERT INTO tags (run_uuid, key, value) VALUES (?, ?, ?)"
METRIC = (
    "INSERT INTO latest_metrics (run_uuid, key, value, step, is_nan)"
    " VALUES (?, 'val/dice', ?, 0, 0)"
)
MODEL = "INSERT INTO registered_models (name) VALUES (?)"
EXPERIMENT = "INSERT INTO experiments (name, lifecycle_stage) VALUES (?, 'active')"


def run_id(number: int) -> str:
    return f"{number:032x}"


def add_cells(store: Store, parent: str, count: int) -> None:
    """Adds finished cells of a multirun, 0 the oldest and the best, that differ in scoring."""
    ids = [run_id(number) for number in range(count)]
    place = int(store.experiment_id)
    with database(store) as connection:
        connection.executemany(
            RUN,
            [(one, f"cell {number}", place, number) for number, one in enumerate(ids)],
        )
        tags = [tag for number in range(count) for tag in cell_tags(parent, number)]
        connection.executemany(TAG, tags)
        connection.executemany(METRIC, [(one, 1 - n / count) for n, one in enumerate(ids)])


def add_run(store: Store, run_id: str, name: str, start: int, tags: Mapping[str, str]) -> None:
    """Adds a finished run with these tags, under an id of the caller's choice."""
    known = {"mlflow.runName": name, **tags}
    with database(store) as connection:
        connection.execute(RUN, (run_id, name, int(store.experiment_id), start))
        connection.executemany(TAG, [(run_id, key, value) for key, value in known.items()])


def cell_tags(parent: str, number: int) -> list[tuple[str, str, str]]:
    tags = {
        PARENT: parent,
        SIGNATURE: "same",
        SCORING: str(number),
        RUN_FOLDER: f"/runs/{number}",
    }
    return [(run_id(number), key, value) for key, value in tags.items()]


def add_names(store: Store, statement: str, names: Iterable[str]) -> None:
    """Adds MODEL or EXPERIMENT rows."""
    with database(store) as connection:
        connection.executemany(statement, [(name,) for name in names])


@contextmanager
def database(store: Store):
    path = sqlite_file(store.uri)
    assert path is not None
    with closing(sqlite3.connect(path)) as connection, connection:
        yield connection
