"""MLflow makes an empty SQLite store by dozens of migrations: as long as a tiny training takes.

Here they run once a process; every other new store is a copy of what they made.
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
    """The file that MLflow itself makes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mlflow.db")
        client_of(f"sqlite:///{path}")
        return path.read_bytes()
