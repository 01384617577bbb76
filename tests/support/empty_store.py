"""Copies an empty SQLite store, which MLflow makes by dozens of migrations.

The migrations take as long as a tiny training. Here they run once a process; every other new store
is a copy of the first.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from flexunet_exp.tracking.mlflow_client import client_of


@cache
def use_copies() -> None:
    from mlflow.store.db import utils

    made = by_migration()
    migrate = utils._initialize_tables

    def copy(engine: Any) -> None:
        if engine.dialect.name != "sqlite" or not utils._is_empty_database(engine):
            migrate(engine)
            return
        with closing(sqlite3.connect(":memory:")) as empty, closing(engine.raw_connection()) as new:
            empty.deserialize(made)
            empty.backup(new.driver_connection)

    utils._initialize_tables = copy


def by_migration() -> bytes:
    """The content of the file that MLflow makes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mlflow.db")
        client_of(f"sqlite:///{path}")
        return path.read_bytes()
