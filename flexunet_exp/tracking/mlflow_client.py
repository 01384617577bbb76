"""MLflow as this project uses it: its settings, its client, its tables made once."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

from flexunet_exp.errors import InputError
from flexunet_exp.system import locks
from flexunet_exp.tracking.address import sqlite_file, sqlite_uri

MOST_LISTED = 1000  # entries of a page: the most that MLflow gives of any listing
LOCK_SECONDS = 60  # that making a store may take another process
# MLflow's own defaults tell its makers what is done with it, and wait four minutes for a server
# that is not there.
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


def client_of(uri: str) -> Any:
    """MLflow's client of a store."""
    load_mlflow(uri)
    import mlflow

    return mlflow.MlflowClient(uri)


def load_mlflow(uri: str) -> None:
    """Imports what the store needs, which takes seconds, with our settings."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    # The outbox takes for sent what a call has returned from.
    os.environ["MLFLOW_ENABLE_ASYNC_LOGGING"] = "false"
    import mlflow

    quiet_mlflow()
    if sqlite_file(uri):
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401


def make_tables(uri: str) -> None:
    """Makes a new SQLite store beside its place: cut off meanwhile, it is none, not half a one."""
    path = sqlite_file(uri)
    if path is None or path.exists():
        return
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    client_of(sqlite_uri(unfinished))
    os.replace(unfinished, path)


def paged(
    list_page: Callable[..., Any], *arguments: Any, limit: int | None = None, **options: Any
) -> Iterator[Any]:
    """All that one of the client's listings holds, however many pages it has; at most `limit`."""
    size = MOST_LISTED if limit is None else min(limit, MOST_LISTED)
    return islice(entries(partial(list_page, *arguments, max_results=size, **options)), limit)


def entries(list_page: Callable[..., Any]) -> Iterator[Any]:
    token: str | None = None
    while token != "":
        page = list_page(page_token=token)
        yield from page
        token = page.token or ""


def milliseconds() -> int:
    """Now, as MLflow counts time."""
    return int(time.time() * 1000)


@contextmanager
def one_process_at_a_time(uri: str) -> Iterator[None]:
    """Guards the first use of an SQLite store, which makes its tables.

    Raises InputError where another process, perhaps a stopped one, does not let go.
    """
    path = sqlite_file(uri)
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.parent / ".lock"
    try:
        held = locks.exclusive(lock, LOCK_SECONDS)
    except locks.Locked as error:
        raise InputError(
            f"Another process has held {lock} for {LOCK_SECONDS} s. End it: is there a flexunet "
            f"that was stopped (Ctrl-Z)? fuser {lock} shows its number."
        ) from error
    with held:
        yield


def quiet_mlflow() -> None:
    """Keeps MLflow and alembic from announcing tables and tips in the middle of our output."""
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # It prints the stack trace of every error of the database, which we say in a sentence.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    # It prints a stack trace when Ctrl-C comes while it takes a connection back.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
