"""Tests whether a store can be reached now."""

from __future__ import annotations

import errno
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from flexunet_exp.tracking.address import Closed, NotThere, require_valid, sqlite_file
from flexunet_exp.tracking.mlflow_client import load_mlflow
from flexunet_exp.tracking.trouble import store_trouble

log = logging.getLogger(__name__)

ANSWER_SECONDS = 3
# Errors of the operating system that mean that the store cannot be reached or written.
AWAY_ERRNOS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO),
    *(errno.ESTALE, errno.EMFILE, errno.ENFILE),
}
CLOSED_TO_US = (401, 403, 408, 429)  # HTTP statuses that do not depend on what was sent


def require_server(uri: str) -> None:
    """Raises MlflowException, within seconds, where `uri` is a server's and none answers."""
    require_valid(uri)
    if not uri.startswith(("http://", "https://")):
        return
    load_mlflow(uri)
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    credentials = get_default_host_creds(uri)
    http_request(credentials, "/health", "GET", timeout=ANSWER_SECONDS, max_retries=0)


def require_unlocked(uri: str) -> None:
    """Raises sqlite3.OperationalError where another program locks an SQLite store for 3 s.

    MLflow itself would wait for twenty seconds.
    """
    path = sqlite_file(uri)
    if path is None or not path.is_file():
        return
    with closing(sqlite3.connect(path, timeout=ANSWER_SECONDS, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")


def is_away(error: BaseException) -> bool:
    """Whether the error means that the store is away: no answer, no access, locked or full.

    Any other error is about the one entry that was sent.
    """
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import OperationalError

    if isinstance(error, Closed):
        return True
    if isinstance(error, MlflowException):
        return is_away_status(error.get_http_status_code())
    if isinstance(error, RequestException):
        return error.response is None or is_away_status(error.response.status_code)
    if isinstance(error, ConnectionError | TimeoutError | OperationalError):
        return True
    return isinstance(error, OSError) and error.errno in AWAY_ERRNOS


def is_away_status(status: int) -> bool:
    return status >= 500 or status in CLOSED_TO_US


@contextmanager
def optional_store(what: str) -> Iterator[None]:
    """Logs that `what` was not added where the store is missing or away, and raises nothing."""
    try:
        yield
    except NotThere as nothing:
        log.info("%s Nothing was added to it.", nothing)
    except Exception as error:
        if not is_away(error):
            raise
        log.warning("%s was not added to the store: %s", what, store_trouble(error))
