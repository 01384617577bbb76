"""Addresses of stores: an SQLite file, or a server."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from flexunet_exp.errors import InputError

SQLITE = "sqlite:///"


class NotThere(InputError):
    """The store does not exist, or does not have the experiment."""


class Closed(InputError):
    """The store, or the folder in which it is to be made, does not let this user in."""


def require_valid(uri: str) -> None:
    """Raises InputError for a text that is not an address of a store, or has a password in it.

    Addresses are written into the run folder, into the store and into logged commands.
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
            "tracking.uri has a user's name or password in it, and addresses are written to files "
            "and logs. Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead, and "
            "leave both out of the address."
        )
    host = re.match(r"https?://([\w.-]+|\[[\da-fA-F:.]+\])(:\d+)?", uri)
    if host and re.fullmatch(r"(/[^?#]*)?", uri[host.end() :]):
        return
    raise InputError(
        f"tracking.uri={uri} is not an address of a store. Expected sqlite:///PATH (as "
        f"sqlite:///mlruns/mlflow.db) or http://HOST:PORT{meant(uri, host)}"
    )


def meant(uri: str, host: re.Match[str] | None) -> str:
    """A question with the address that the user probably meant; empty without a guess."""
    if host:
        return f". Did you mean {host[0]}?"
    if re.fullmatch(r"[\w.-]+:\d+", uri):
        return f". Did you mean http://{uri}?"
    if uri.endswith(".db"):
        return f". Did you mean {SQLITE}{re.sub('^sqlite:/*', '', uri)}?"
    return ""


def store_words(uri: str | None, experiment_name: str) -> list[str]:
    """The words that make a command use this store; none for the default store, and for none."""
    if not uri:
        return []
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
    """The artifact folder beside the SQLite file; None for a server, which decides itself."""
    path = sqlite_file(uri)
    return (path.parent / "artifacts").as_uri() if path else None


def sqlite_uri(path: Path) -> str:
    """The address of an SQLite file; InputError where an address cannot have its path."""
    if set(str(path)) & set("%?"):
        raise InputError(
            f"{path}: the path of an SQLite store must not have % or ? in it. Rename the folder, "
            "or choose another path: tracking.uri=sqlite:////FOLDER/mlflow.db"
        )
    return f"{SQLITE}{path}"


def absolute_uri(uri: str) -> str:
    """A relative SQLite path made absolute."""
    require_valid(uri)
    path = sqlite_file(uri)
    return uri if path is None else sqlite_uri(path)


def is_store(path: Path) -> bool:
    """Whether a file is the database of an MLflow store; changes nothing."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return {"alembic_version", "experiments"} <= {name for (name,) in found}
    except sqlite3.Error:
        return False


def require_store(uri: str) -> None:
    """Raises NotThere where the file of an SQLite store is missing."""
    path = sqlite_file(uri)
    if path and not path.is_file():
        raise NotThere(
            f"There is no store {path}. Change to the folder in which runs were trained, or name "
            "their store with tracking.uri=sqlite:///PATH. flexunet train makes a store."
        )
