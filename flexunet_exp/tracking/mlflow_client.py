"""MLflow for this project: its settings, its client, and the creation of its tables."""

from __future__ import annotations

import errno
import importlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from flexunet_exp.errors import InputError
from flexunet_exp.system import collection, locks
from flexunet_exp.tracking.address import Closed, is_store, sqlite_file, sqlite_uri

MOST_LISTED = 1000  # entries a page: the most that MLflow returns for any listing
SQL_STORE = "mlflow.store.tracking.sqlalchemy_store"
LOCK_SECONDS = 60  # that another process may take to make a store
MAY_NOT_WRITE = (errno.EACCES, errno.EPERM, errno.EROFS)
# MLflow's own defaults send usage data to its makers, and wait four minutes for a server that does
# not answer.
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
    """Imports MLflow with this project's settings, which takes seconds."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    # For the outbox, an entry is sent when the call returns.
    os.environ["MLFLOW_ENABLE_ASYNC_LOGGING"] = "false"
    with collection.importing("mlflow"):
        import mlflow  # noqa: F401
    quiet_mlflow()
    if sqlite_file(uri):
        with collection.importing(SQL_STORE):
            importlib.import_module(SQL_STORE)


def make_tables(uri: str) -> None:
    """Makes a new SQLite store under another name and renames it, so that it is never partial."""
    path = sqlite_file(uri)
    if path is None or path.exists():
        return
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    client_of(sqlite_uri(unfinished))
    os.replace(unfinished, path)


def paged(
    list_page: Callable[..., Any],
    *arguments: Any,
    limit: int | None = None,
    size: int = MOST_LISTED,
    **options: Any,
) -> Iterator[Any]:
    """The entries of all pages of a listing of the client, `size` a page; at most `limit`.

    A page is asked for when its first entry is.
    """
    size = size if limit is None else min(limit, size)
    return islice(entries(partial(list_page, *arguments, max_results=size, **options)), limit)


def entries(list_page: Callable[..., Any]) -> Iterator[Any]:
    token: str | None = None
    while token != "":
        with collection.paused():
            page = list_page(page_token=token)
        yield from page
        token = page.token or ""


def milliseconds() -> int:
    """The present time as MLflow stores it: milliseconds since 1970."""
    return int(time.time() * 1000)


@contextmanager
def one_process_at_a_time(uri: str) -> Iterator[None]:
    """Locks an SQLite store for its first use, which makes its tables.

    A store that may only be read is read without the lock. Raises InputError where another
    process, perhaps a stopped one, keeps the lock, and Closed where the store can be neither
    locked nor read.
    """
    path = sqlite_file(uri)
    if path is None:
        yield
        return
    try:
        held = locked(path)
    except OSError as error:
        if error.errno not in MAY_NOT_WRITE:
            raise
        require_readable(path, error)
        held = nullcontext()
    with held:
        yield


def locked(path: Path) -> AbstractContextManager:
    """The lock of a store, whose folder is made if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.parent / ".lock"
    try:
        return locks.exclusive(lock, LOCK_SECONDS)
    except locks.Locked as error:
        raise InputError(
            f"Another process has held {lock} for {LOCK_SECONDS} s. End it: is there a flexunet "
            f"that was stopped (Ctrl-Z)? fuser {lock} shows its number."
        ) from error


def require_readable(path: Path, error: OSError) -> None:
    """Raises Closed where there is no store that can be read; `error` kept it from being locked."""
    where = f"{error.filename}: {error.strerror}"
    instead = "or name another store: tracking.uri=sqlite:///PATH"
    if not os.path.exists(path):
        raise Closed(
            f"The store {path} cannot be made ({where}). Make its folder writable, {instead}"
        ) from error
    if not is_store(path):
        raise Closed(
            f"{path} cannot be read as a store, nor written ({where}). Make the file readable for "
            f"this user, {instead}"
        ) from error


def quiet_mlflow() -> None:
    """Keeps MLflow and alembic from printing tables and tips into the program's output."""
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # It prints a stack trace for every database error, which `trouble` says in a sentence.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    # It prints a stack trace when Ctrl-C comes while it takes a connection back.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
