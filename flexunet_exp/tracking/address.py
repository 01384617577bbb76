"""Where a store is: an SQLite file, which is made whole or not at all, or a server's address."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from flexunet_exp.errors import InputError

SQLITE = "sqlite:///"


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
            "docs/guides/store.md says how to start one; then tracking.uri=http://127.0.0.1:5000"
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


def store_words(uri: str, experiment_name: str) -> list[str]:
    """What to type for a command to use this store; nothing for the one it would use anyway."""
    usual = Path("mlruns/mlflow.db").absolute()
    own = {"uri": f"{SQLITE}{usual}", "experiment_name": "flexunet"}
    given = {"uri": absolute_uri(uri), "experiment_name": experiment_name}
    return [f"tracking.{key}={value}" for key, value in given.items() if value != own[key]]


def sqlite_file(uri: str) -> Path | None:
    """The absolute path of an SQLite store (Hydra may change folders); None for a server's."""
    if not uri.startswith(SQLITE):
        return None
    return Path(uri.removeprefix(SQLITE)).expanduser().absolute()


def artifact_location(uri: str) -> str | None:
    """Artifacts lie beside the SQLite file; a server decides for itself."""
    path = sqlite_file(uri)
    return (path.parent / "artifacts").as_uri() if path else None


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
