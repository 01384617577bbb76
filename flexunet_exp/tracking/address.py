"""Where a store is: an SQLite file, which is made whole or not at all, or a server's address."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

from flexunet_exp.errors import InputError

SQLITE = "sqlite:///"
LOCK_SECONDS = 60  # that making a store may take another process

# MLflow's own defaults tell its makers what is done with it, and wait four minutes for a server
# that is not there.
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


class NotThere(InputError):
    """There is no such store, or no such experiment in it."""


def require_valid(uri: str) -> None:
    """Raises InputError for what is no address of a store, or one that would give a password away.

    Addresses are written down: in the run folder, in the store, in the command that repeats a run.
    """
    if uri.startswith(SQLITE) and len(uri) > len(SQLITE):
        return
    scheme, separator, rest = uri.partition("://")
    if separator and scheme.partition("+")[0] in ("postgresql", "mysql", "mssql"):
        raise InputError(
            f"tracking.uri names a {scheme} database. It is reached through an MLflow server: "
            "docs/store.md says how to start one; then tracking.uri=http://127.0.0.1:5000"
        )
    if "@" in rest.partition("/")[0]:
        raise InputError(
            "tracking.uri has a user's name or password in it, and would be written down with "
            "them. Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, and leave them out "
            "of the address."
        )
    host = re.match(r"https?://([\w.-]+|\[[\da-fA-F:.]+\])(:\d+)?", uri)
    if host and re.fullmatch(r"(/[^?#]*)?", uri[host.end() :]):
        return
    raise InputError(
        f"tracking.uri={uri} is no address of a store. Expected sqlite:///PATH (as "
        f"sqlite:///mlruns/mlflow.db) or http://HOST:PORT{meant(uri, host)}"
    )


def meant(uri: str, host: re.Match[str] | None) -> str:
    """The address that somebody who typed this probably meant, as a question."""
    if host:
        return f". Did you mean {host[0]}?"
    if re.fullmatch(r"[\w.-]+:\d+", uri):
        return f". Did you mean http://{uri}?"
    if uri.endswith(".db"):
        return f". Did you mean {SQLITE}{re.sub('^sqlite:/*', '', uri)}?"
    return ""


def store_words(tracking: Mapping[str, Any]) -> list[str]:
    """What to type for a command to use this store; nothing for the one it would use anyway."""
    usual = Path("mlruns/mlflow.db").absolute()
    own = {"uri": f"{SQLITE}{usual}", "experiment_name": "flexunet"}
    given = {"uri": absolute_uri(tracking["uri"]), "experiment_name": tracking["experiment_name"]}
    return [f"tracking.{key}={value}" for key, value in given.items() if value != own[key]]


def sqlite_file(uri: str) -> Path | None:
    """The absolute path of an SQLite store (Hydra may change folders); None for a server's."""
    if not uri.startswith(SQLITE):
        return None
    return Path(uri.removeprefix(SQLITE)).expanduser().absolute()


def sqlite_uri(path: Path) -> str:
    """The address of an SQLite file; InputError where its path can be in no address."""
    if set(str(path)) & set("%?"):
        raise InputError(
            f"{path}: no SQLite store can lie where a name has % or ? in it. Rename the folder, or "
            "name another place: tracking.uri=sqlite:////FOLDER/mlflow.db"
        )
    return f"{SQLITE}{path}"


def absolute_uri(uri: str) -> str:
    """A relative SQLite path made absolute."""
    require_valid(uri)
    path = sqlite_file(uri)
    return uri if path is None else sqlite_uri(path)


def is_store(path: Path) -> bool:
    """Whether a file is the database of an MLflow store; a look that changes nothing."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return {"alembic_version", "experiments"} <= {name for (name,) in found}
    except sqlite3.Error:
        return False


def require_store(uri: str) -> None:
    """Raises NotThere where an SQLite store is not there."""
    path = sqlite_file(uri)
    if path and not path.is_file():
        raise NotThere(
            f"There is no store {path}. Go to the folder that runs were trained in, or name their "
            "store with tracking.uri=sqlite:///PATH; flexunet train makes one."
        )


def artifact_location(uri: str) -> str | None:
    """Artifacts lie beside the SQLite file; a server decides for itself."""
    path = sqlite_file(uri)
    return (path.parent / "artifacts").as_uri() if path else None


def client_of(uri: str) -> Any:
    """MLflow's client of a store."""
    load_mlflow(uri)
    import mlflow

    return mlflow.MlflowClient(uri)


def load_mlflow(uri: str) -> None:
    """Imports what the store needs, which takes seconds, with our settings."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    # The journal takes for delivered what a call has returned from.
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
    with open(path.parent / ".lock", "a") as lock:
        deadline = time.monotonic() + LOCK_SECONDS
        while not taken(lock):
            if time.monotonic() > deadline:
                raise InputError(
                    f"Another process has held {lock.name} for {LOCK_SECONDS} s. End it: is there "
                    f"a flexunet that was stopped (Ctrl-Z)? fuser {lock.name} shows its number."
                )
            time.sleep(0.05)
        yield


def taken(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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
