"""Tells the store what a journal holds: in order, and however often it is cut off, each entry once.

Metrics sent again with the same time are kept once, tags, parameters and files are what they were,
an image or a model that was sent in part is removed first.
"""

from __future__ import annotations

import errno
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from flexunet_exp.errors import InputError
from flexunet_exp.runs import claims
from flexunet_exp.tracking import artifacts, stored_models
from flexunet_exp.tracking.address import (
    NotThere,
    absolute_uri,
    is_store,
    require_store,
    require_valid,
    sqlite_file,
)
from flexunet_exp.tracking.mlflow_client import load_mlflow
from flexunet_exp.tracking.outbox import ENTRIES, FACTS, Journal, exists, read_facts
from flexunet_exp.tracking.store import Store
from flexunet_exp.tracking.stored_models import KERAS_MODEL
from flexunet_exp.tracking.trouble import first_line, store_trouble

log = logging.getLogger(__name__)

KEY = "journal"  # the tag by which a run is found whose creation was not answered
ANSWER_SECONDS = 3
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Where journals lie: in run folders, and in a multirun's own.
PLACES = (*claims.DEFAULT_PLACES, "outputs/multirun/*/*")
# What the operating system says where it is the store that cannot be told anything.
AWAY_ERRNOS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO),
    *(errno.ESTALE, errno.EMFILE, errno.ENFILE),
}
CLOSED_TO_US = (401, 403, 408, 429)  # HTTP: not about what was sent


class Away(Exception):
    """The store cannot be told anything now; the cause says why."""


class Unwanted(Away):
    """The store is there and will not have this run at all."""


class Delivery:
    """What delivers one journal, to the store it is for or to the same store at another address."""

    def __init__(self, journal: Journal, uri: str | None = None):
        self.journal, self.uri = journal, uri or journal.facts.uri
        self._store: Store | None = None
        self.is_unsure = True  # whether the next entry reached the store already, or a part of it
        self.said_refused: set[str] = set()
        self.sent_before = True  # as the entry at hand may have been

    @property
    def store(self) -> Store:
        if self._store is None:
            self._store = Store(self.uri, self.journal.facts.experiment)
        return self._store

    def send(self) -> int:
        """Sends what was not tried yet; the number of entries that the store took.

        Raises Away where it could not go on. An entry that the store refuses is said and noted,
        and the others go on.
        """
        return self.send_each(self.journal.left())

    def send_refused(self) -> int:
        """Tries what the store refused before; how the run ended will then be said once more.

        For it may have been reopened after that.
        """
        refused = list(self.journal.refused())
        if refused and (ending := self.journal.last("status")):
            self.journal.append([ending])
        return self.send_each(refused, sent_before=True)

    def send_each(
        self, entries: Iterable[tuple[int, int, dict[str, Any]]], sent_before: bool = False
    ) -> int:
        waiting = list(entries)
        if waiting:
            self.require_answer()
        refused = 0
        for start, end, entry in waiting:
            self.sent_before, self.is_unsure = self.is_unsure or sent_before, True
            refusal = self.send_one(entry)
            self.journal.note(start, end, is_refused=refusal is not None)
            self.is_unsure = False  # from here on: an interrupt comes whenever it likes
            if refusal:
                refused += 1
                self.say_refused(entry["what"], refusal)
        return len(waiting) - refused

    def say_refused(self, what: str, refusal: Exception) -> None:
        """Once a kind of entry; how many there are is said at the end."""
        if what not in self.said_refused:
            path, why = self.journal.folder / ENTRIES, first_line(refusal)
            log.warning("The store refused an entry of %s (%s): %s", path, what, why)
        self.said_refused.add(what)

    def require_answer(self) -> None:
        """Raises Away where the store does not answer; one that hangs costs a few seconds."""
        try:
            ask(self.uri)
            require_unlocked(self.uri)
            _ = self.store
        except Exception as error:
            raise Away from error

    def require_own_run(self) -> None:
        """Raises InputError where the journal names a run of the store that is not its own."""
        if (run_id := self.journal.facts.run_id) is None:
            return
        self.require_answer()
        try:
            tags = self.store.tags_of(run_id)
        except Exception as error:
            raise Away from error
        if tags is None:
            raise InputError(
                f"{self.uri} has no run {run_id}, or it was deleted. Restore it there, or name the "
                f"store that has it with tracking.uri=ADDRESS, or give the journal up: remove "
                f"{self.journal.folder / FACTS}"
            )
        if tags.get(KEY) != self.journal.facts.key:
            raise InputError(f"Run {run_id} of the store is not the one that this journal began.")

    def send_one(self, entry: Mapping[str, Any]) -> Exception | None:
        """Sends an entry; the error with which the store refused it, if it did."""
        try:
            self.sender(entry["what"])(entry, self.journal.facts.run_id or "")
        except Exception as error:
            if is_away(error) and not self.is_own_file(error):
                raise Away from error
            if entry["what"] == "run":
                raise Unwanted from error
            return error
        return None

    def is_own_file(self, error: Exception) -> bool:
        """Whether it is about a file of the run folder, not about the store."""
        name = error.filename if isinstance(error, OSError) else None
        return isinstance(name, str) and Path(name).is_relative_to(self.journal.folder)

    def sender(self, what: str) -> Callable[[Mapping[str, Any], str], None]:
        return {
            "run": self.run,
            "reopen": lambda entry, run_id: self.store.reopen(run_id),
            "tags": lambda entry, run_id: self.store.log_tags(run_id, entry["tags"]),
            "params": lambda entry, run_id: self.store.log_params(run_id, entry["params"]),
            "metrics": lambda entry, run_id: self.store.log_metrics(run_id, entry["metrics"]),
            "image": self.image,
            "artifact": self.artifact,
            "dataset": self.dataset,
            "model": self.model,
            "register": self.register,
            "status": self.status,
        }[what]

    def run(self, entry: Mapping[str, Any], _: str) -> None:
        """Creates the run, unless an attempt did whose answer was lost."""
        key = self.journal.facts.key
        found = self.store.newest(f"tags.{KEY} = '{key}'")
        tags = {**entry["tags"], KEY: key}
        self.journal.note_run(
            found.info.run_id
            if found
            else self.store.create_run(entry["name"], tags, entry["time"])
        )

    def image(self, entry: Mapping[str, Any], run_id: str) -> None:
        if path := self.file(entry):
            picture = (entry["key"], path, entry["time"], entry["step"])
            if self.sent_before:
                artifacts.remove_image(self.store, run_id, *picture)
            artifacts.log_image(self.store, run_id, *picture)

    def artifact(self, entry: Mapping[str, Any], run_id: str) -> None:
        if path := self.file(entry):
            artifacts.log_files(self.store, run_id, path, entry["folder"])

    def inside(self, name: str) -> Path:
        """A path of the run folder; InputError for one that leads out of it, or holds one."""
        path, root = self.journal.folder / name, self.journal.folder.resolve()
        for part in (path, *path.rglob("*")):
            if not part.resolve().is_relative_to(root):
                raise InputError(f"{part} is no file of the run folder, and nothing else is sent.")
        return path

    def file(self, entry: Mapping[str, Any]) -> Path | None:
        """The file or folder of an entry, None where it was removed from the run folder."""
        path = self.inside(entry["path"])
        if path.exists():
            return path
        log.warning("%s is gone, it will be missing in the store.", path)
        return None

    def dataset(self, entry: Mapping[str, Any], run_id: str) -> None:
        from flexunet_exp.data import dataset

        table = dataset.read_table(self.inside(entry["path"]))
        self.store.log_dataset(run_id, table, entry["name"], entry["digest"], entry["source"])

    def model(self, entry: Mapping[str, Any], run_id: str) -> None:
        stored_models.remove_partial_models(self.store, run_id, KERAS_MODEL)
        if stored_models.whole_model(self.store, run_id, KERAS_MODEL):  # sent before a kill
            return
        import numpy as np

        from flexunet_exp.system import tensorflow

        tensorflow.load()
        from flexunet_exp.models.files import read_network

        network = read_network(self.inside(entry["path"]))
        example = np.load(self.inside(entry["example"]), allow_pickle=False)
        stored_models.log_network(self.store, run_id, network, example)

    def register(self, entry: Mapping[str, Any], run_id: str) -> None:
        from flexunet_exp.tracking import registry

        folder = self.journal.folder
        registry.register(self.store, run_id, folder, entry["name"], entry["objective"])

    def status(self, entry: Mapping[str, Any], run_id: str) -> None:
        self.store.end_run(run_id, entry["status"], entry["time"])


def ask(uri: str) -> None:
    """Raises MlflowException where a server is meant and none answers, after seconds at most."""
    require_valid(uri)
    if not uri.startswith(("http://", "https://")):
        return
    load_mlflow(uri)
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    credentials = get_default_host_creds(uri)
    http_request(credentials, "/health", "GET", timeout=ANSWER_SECONDS, max_retries=0)


def require_unlocked(uri: str) -> None:
    """Raises sqlite3.OperationalError where another program holds an SQLite store for seconds.

    MLflow itself would wait for it for twenty.
    """
    path = sqlite_file(uri)
    if path is None or not path.is_file():
        return
    with closing(sqlite3.connect(path, timeout=ANSWER_SECONDS, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")


def is_away(error: BaseException) -> bool:
    """Whether the store cannot be told anything now: not there, hung, closed to us, locked or full.

    Anything else is about the one entry that was sent.
    """
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import OperationalError

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
def adding(what: str) -> Iterator[None]:
    """Has work that is whole without its store not fail where that is not there, or is away."""
    try:
        yield
    except NotThere as nothing:
        log.info("%s Nothing was added to it.", nothing)
    except Exception as error:
        if not is_away(error):
            raise
        log.warning("%s was not added to the store: %s", what, store_trouble(error))


class Sent(NamedTuple):
    """What became of a journal's entries, and why some are left."""

    taken: int
    left: int
    because: str = ""
    is_away: bool = False


def deliver(folder: Path, uri: str | None = None) -> Sent:
    """Delivers the journal of a run that has ended, and removes it when nothing is left.

    To the store that it names, or to `uri`; never to one that would have to be made.
    """
    try:
        with closing(Journal(folder)) as journal:
            return deliver_journal(journal, uri)
    except (InputError, OSError, ValueError, RecursionError) as trouble:
        return Sent(0, 1, str(trouble))


def deliver_journal(journal: Journal, uri: str | None) -> Sent:
    before, delivery, trouble = journal.num_left(), Delivery(journal, uri), Sent(0, 0)
    if not before:
        journal.remove()
        return trouble
    require_known(delivery.uri, is_named=uri is not None)
    try:
        delivery.require_own_run()
        delivery.send_refused()
        delivery.send()
    except Away as away:
        is_away = not isinstance(away, Unwanted)
        trouble = Sent(0, 0, store_trouble(away.__cause__), is_away)
    left = journal.num_left()
    if not left:
        journal.remove()
    refused = "the store refuses it" if left else ""
    return Sent(max(0, before - left), left, trouble.because or refused, trouble.is_away)


def require_known(uri: str, is_named: bool) -> None:
    """Raises InputError for a store that a run folder alone names, where harm could come of it.

    A run folder may come from anyone, and a server is sent the password that is set for one's own.
    """
    require_store(uri)
    if is_named:
        return
    path = sqlite_file(uri)
    if path and not is_store(path):
        raise InputError(f"{path} is no MLflow store.")
    if not path and urlsplit(uri).hostname not in LOOPBACK:
        raise InputError(f"It is for the server {uri}. To send it there, add tracking.uri={uri}")


def deliver_near(uri: str | None) -> None:
    """Delivers what ended runs near here still owe this store, so that they are found in it."""
    if not uri:
        return
    for folder in undelivered(Path.cwd()):
        if is_for(folder, uri):
            sent = deliver(folder, uri)
            because = f" {sent.because}" if sent.because else ""
            log.info("%s: %d entries delivered, %d left.%s", folder, sent.taken, sent.left, because)
            if sent.is_away:
                return


def deliver_own(folder: Path, uri: str | None) -> Sent:
    """Delivers a journal, if there is one, to its own store, which `uri` may be or not."""
    if not exists(folder):
        return Sent(0, 0)
    return deliver(folder, uri if uri and is_for(folder, uri) else None)


def is_for(folder: Path, uri: str) -> bool:
    """Whether a folder's journal is for the store at this address; not where that is damaged."""
    with suppress(InputError):
        return read_facts(folder).uri == absolute_uri(uri)
    return False


def undelivered(here: Path) -> Iterator[Path]:
    """The folders of ended runs near here that the store has not got wholly."""
    for place in PLACES:
        for path in sorted(here.glob(f"{place}/{FACTS}")):
            if not claims.is_marked(path.parent):
                yield path.parent
