"""Sentences for errors of a store."""

from __future__ import annotations

import re


def first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


NO_MLFLOW = (
    "The server at tracking.uri is not an MLflow server. Expected the address that mlflow server "
    "prints, as http://127.0.0.1:5000."
)
STORE_ADVICE = {
    "error code 401": (
        "The MLflow server asks for a user's name and password. Set MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD."
    ),
    "error code 403": (
        "The MLflow server does not let this user do that. Set MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD to those of a user who may."
    ),
    "Response body: '<": NO_MLFLOW,
    "not in a valid JSON format": NO_MLFLOW,
    "database is locked": (
        "Another program holds the store's database. Nothing was changed in it. End that program "
        "or wait for it, and give the same command again."
    ),
    "readonly database": (
        "The store may only be read by this user. Nothing was changed in it. Make its file and its "
        "folder writable, or name another store: tracking.uri=sqlite:///PATH"
    ),
    "database or disk is full": (
        "The disk of the store is full. The store is not damaged. Free some space and give the "
        "same command again."
    ),
    "(sqlite3.OperationalError) table": (
        "The store's tables are incomplete: their creation or upgrade was cut off. Move the file "
        "that tracking.uri names (mlruns/mlflow.db unless you chose another) to another place, and "
        "give the same command again."
    ),
    "file is not a database": (
        "The store is not an SQLite database, or is damaged. Check tracking.uri, or use a backup."
    ),
    "database disk image is malformed": "The store's database is damaged. Replace it by a backup.",
    "Detected out-of-date database schema": (
        "The store was made by another version of MLflow. Nothing was changed in it. If that was a "
        "newer one, use it here too: pip install --upgrade mlflow; if it was an older one, make a "
        "backup of the store and type mlflow db upgrade ADDRESS"
    ),
}
OWN_ERROR = "it answers with an error of its own: see its log. Can it write to its folder of files?"
STORE_TROUBLE = {
    "database is locked": "another program holds its database",
    "readonly database": "it may only be read by this user",
    "database or disk is full": "its disk is full",
    "No space left on device": "its disk is full",
    "too many 500": OWN_ERROR,
    "500 Server Error": OWN_ERROR,
    "error code 500": OWN_ERROR,
    "error code 401": "it asks for a name and password (MLFLOW_TRACKING_USERNAME, …_PASSWORD)",
}
SILENCES = (
    *("Connection refused", "timed out", "Name or service not known", "No route to host"),
    *("Temporary failure in name resolution", "certificate verify failed", "Connection reset"),
    *("wrong version number", "too many 502", "too many 503", "too many 504"),
)


def store_trouble(error: BaseException | None) -> str:
    """The reason why a store cannot be reached or written now, in a few words."""
    known = [words for sign, words in STORE_TROUBLE.items() if sign in str(error)]
    if known:
        return known[0]
    if silence := silent(error):
        return f"it does not answer ({silence})"
    return first_line(error or Exception("unknown"))


def silent(error: BaseException | None) -> str:
    """The address of a server that did not answer, and the error; empty where it answered."""
    text = str(error)
    where = re.search(r"host='([^']+)', port=(\d+)", text)
    how = [sign for sign in SILENCES if sign in text]
    if not (how or "Max retries exceeded" in text):
        return ""
    address = [f"{where[1]}:{where[2]}"] if where else []
    return ", ".join([*address, *how[:1]])
