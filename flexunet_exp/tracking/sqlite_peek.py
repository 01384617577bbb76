"""What a local SQLite store surely does not hold, without importing MLflow.

That import takes seconds. A training whose work the store surely has not got begins without it:
its run waits in the outbox until the first training step is done.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from flexunet_exp.tracking.address import sqlite_file

# The tables that the pinned MLflow makes. A store of another version is asked through MLflow, which
# says what is to be done with it.
SCHEMA = "dc11669786a5"


def surely_new(uri: str, experiment_name: str, signatures: Sequence[str]) -> bool:
    """Whether a store that can be written to has the experiment and, in none, runs of these
    signatures or courses; False where only MLflow can say."""
    path = sqlite_file(uri)
    if path is None or not all(os.access(place, os.W_OK) for place in (path.parent, path)):
        return False
    try:
        return holds_nothing(path, experiment_name, signatures)
    except sqlite3.Error:
        return False


def holds_nothing(path: Path, experiment_name: str, signatures: Sequence[str]) -> bool:
    marks = ",".join("?" * len(signatures))
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        versions = database.execute("SELECT version_num FROM alembic_version").fetchall()
        stage = database.execute(
            "SELECT lifecycle_stage FROM experiments WHERE name = ?", [experiment_name]
        ).fetchall()
        signed = database.execute(
            "SELECT 1 FROM tags WHERE key IN ('signature', 'course') "
            f"AND value IN ({marks}) LIMIT 1",
            signatures,
        ).fetchall()
    return versions == [(SCHEMA,)] and stage == [("active",)] and not signed
