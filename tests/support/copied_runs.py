"""Copies of a store's runs, written straight into its database: the client takes seconds a run."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import MetaData, create_engine, insert, or_, select

OF_RUN = ("tags", "params", "latest_metrics", "metrics")  # tables with rows of a run
VALUES = ("tags", "params", "latest_metrics")  # those in which a copy may have other values
LINKS = "inputs"  # of a run to its data sets and models
TABLES = ("runs", *OF_RUN, LINKS, "input_tags")
Rows = dict[str, list[dict[str, Any]]]  # by table


@dataclass(frozen=True)
class Copy:
    """A run that is written as another one, but for these values, under an id of its own."""

    original: str
    run_id: str
    name: str
    start: int  # milliseconds
    tags: Mapping[str, str | None] = field(default_factory=dict)  # None: without this tag
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)

    def values(self, table: str) -> Mapping[str, Any]:
        tags = {"mlflow.runName": self.name, **self.tags}
        return dict(zip(VALUES, (tags, self.params, self.metrics), strict=True))[table]


class Database:
    """The tables of an MLflow store that hold runs, at an address of SQLAlchemy."""

    def __init__(self, uri: str):
        self.engine = create_engine(uri)
        self.meta = MetaData()
        self.meta.reflect(self.engine, only=TABLES)
        self.known: dict[str, Rows] = {}

    def has(self, run_id: str) -> bool:
        runs = self.meta.tables["runs"]
        with self.engine.connect() as connection:
            return bool(connection.execute(select(runs).where(runs.c.run_uuid == run_id)).all())

    def add(self, copies: Iterable[Copy]) -> None:
        """Writes the copies in one transaction."""
        rows: Rows = {name: [] for name in TABLES}
        for copy in copies:
            for table, added in rewritten(self.rows(copy.original), copy).items():
                rows[table] += added
        with self.engine.begin() as connection:
            for table, added in rows.items():
                if added:
                    connection.execute(insert(self.meta.tables[table]), added)

    def rows(self, run_id: str) -> Rows:
        """Everything that the store has of a run."""
        if run_id not in self.known:
            self.known[run_id] = self.read(run_id)
        return self.known[run_id]

    def read(self, run_id: str) -> Rows:
        tables, found = self.meta.tables, {}
        links, link_tags = tables[LINKS], tables["input_tags"]
        wanted = {name: tables[name].c.run_uuid == run_id for name in ("runs", *OF_RUN)}
        wanted[LINKS] = or_(links.c.source_id == run_id, links.c.destination_id == run_id)
        with self.engine.connect() as connection:
            for name, condition in wanted.items():
                rows = connection.execute(select(tables[name]).where(condition)).mappings()
                found[name] = [dict(row) for row in rows]
            own = link_tags.c.input_uuid.in_([row["input_uuid"] for row in found[LINKS]])
            rows = connection.execute(select(link_tags).where(own)).mappings()
            found["input_tags"] = [dict(row) for row in rows]
        return found


def rewritten(original: Rows, copy: Copy) -> Rows:
    """The rows of a copy."""
    (run,) = original["runs"]
    lasted = (run["end_time"] or run["start_time"]) - run["start_time"]
    ends = copy.start + lasted if run["end_time"] else None
    own = {"run_uuid": copy.run_id}
    rows: Rows = {
        "runs": [{**run, **own, "name": copy.name, "start_time": copy.start, "end_time": ends}],
        "metrics": [{**row, **own} for row in original["metrics"]],
    }
    for table in VALUES:
        kept = {row["key"]: {**row, **own} for row in original[table]}
        like = next(iter(kept.values()), {})  # of a value that the original lacks
        for key, value in copy.values(table).items():
            kept[key] = {**kept.get(key, like), "key": key, "value": value}
        rows[table] = [row for row in kept.values() if row["value"] is not None]
    ids = {row["input_uuid"]: uuid.uuid4().hex for row in original[LINKS]}
    renamed = {copy.original: copy.run_id}
    rows[LINKS] = [
        {
            **row,
            "input_uuid": ids[row["input_uuid"]],
            "source_id": renamed.get(row["source_id"], row["source_id"]),
            "destination_id": renamed.get(row["destination_id"], row["destination_id"]),
        }
        for row in original[LINKS]
    ]
    rows["input_tags"] = [
        {**row, "input_uuid": ids[row["input_uuid"]]} for row in original["input_tags"]
    ]
    return rows
