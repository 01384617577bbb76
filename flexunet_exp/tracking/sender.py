"""Sends the entries of an outbox to the store, in order, each once even after interruptions.

The store keeps a metric that is sent again with the same time once. Tags, parameters and files are
replaced by equal ones. An image or a model that was sent in part is removed first.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import assert_never

from flexunet_exp.errors import InputError
from flexunet_exp.tracking import artifacts, stored_models
from flexunet_exp.tracking.entries import (
    WORDS,
    ArtifactEntry,
    DatasetEntry,
    Entry,
    ImageEntry,
    MetricsEntry,
    ModelEntry,
    ParamsEntry,
    RegisterEntry,
    ReopenEntry,
    RunEntry,
    StatusEntry,
    TagsEntry,
)
from flexunet_exp.tracking.outbox import ENTRIES, FACTS, Outbox, Placed
from flexunet_exp.tracking.reachable import is_away, require_server, require_unlocked
from flexunet_exp.tracking.store import Store
from flexunet_exp.tracking.stored_models import KERAS_MODEL
from flexunet_exp.tracking.trouble import first_line

log = logging.getLogger(__name__)

KEY = "journal"  # the tag that finds a run where the answer to its creation was lost


class Away(Exception):
    """The store cannot be reached or written now; the cause has the reason."""


class Unwanted(Away):
    """The store answers, but refuses to create this run."""


class Sender:
    """Sends one outbox to its store, or to the same store at another address."""

    def __init__(self, outbox: Outbox, uri: str | None = None):
        self.outbox, self.uri = outbox, uri or outbox.facts.uri
        self._store: Store | None = None
        self.is_unsure = True  # whether the store may have the next entry, or a part of it
        self.warned: set[type[Entry]] = set()  # kinds of which the store refused an entry
        self.sent_before = True  # whether the present entry may have been sent before

    @property
    def store(self) -> Store:
        if self._store is None:
            self._store = Store(self.uri, self.outbox.facts.experiment)
        return self._store

    def send(self) -> int:
        """Sends the entries that were not sent yet; returns how many the store took.

        Raises Away where the store is away. An entry that the store refuses is logged and recorded,
        and the others are sent.
        """
        return self.send_each(self.outbox.left())

    def send_refused(self) -> int:
        """Sends the refused entries again, and then the status of the run.

        The status is sent again because a refused entry may be one that reopens the run.
        """
        refused = list(self.outbox.refused())
        if refused and (ending := self.outbox.last(StatusEntry)):
            self.outbox.append([ending])
        return self.send_each(refused, sent_before=True)

    def send_each(self, entries: Iterable[Placed], sent_before: bool = False) -> int:
        waiting = list(entries)
        if waiting:
            self.require_answer()
        refused = 0
        for start, end, entry in waiting:
            self.sent_before, self.is_unsure = self.is_unsure or sent_before, True
            refusal = self.send_one(entry)
            self.outbox.record_sent(start, end, is_refused=refusal is not None)
            self.is_unsure = False  # set last, since an interrupt can come at any line
            if refusal:
                refused += 1
                self.warn_refused(entry, refusal)
        return len(waiting) - refused

    def warn_refused(self, entry: Entry, refusal: Exception) -> None:
        """Logs the first refusal of each kind of entry; the end of the run logs their number."""
        if type(entry) not in self.warned:
            path, why = self.outbox.folder / ENTRIES, first_line(refusal)
            word = WORDS[type(entry)]
            log.warning("The store refused an entry of %s (%s): %s", path, word, why)
        self.warned.add(type(entry))

    def require_answer(self) -> None:
        """Raises Away where the store does not answer within a few seconds."""
        try:
            require_server(self.uri)
            require_unlocked(self.uri)
            _ = self.store
        except Exception as error:
            raise Away from error

    def require_own_run(self) -> None:
        """Raises InputError where the store lacks the outbox's run, or has another of its id."""
        if (run_id := self.outbox.facts.run_id) is None:
            return
        self.require_answer()
        try:
            tags = self.store.tags_of(run_id)
        except Exception as error:
            raise Away from error
        if tags is None:
            raise InputError(
                f"{self.uri} has no run {run_id}, or it was deleted. Restore it there, or name the "
                f"store that has it with tracking.uri=ADDRESS, or give the outbox up: remove "
                f"{self.outbox.folder / FACTS}"
            )
        if tags.get(KEY) != self.outbox.facts.key:
            raise InputError(f"Run {run_id} of the store is not the run that this outbox began.")

    def send_one(self, entry: Entry) -> Exception | None:
        """Sends an entry; returns the error where the store refused it."""
        try:
            self.send_entry(entry, self.outbox.facts.run_id or "")
        except Exception as error:
            if is_away(error) and not self.is_own_file(error):
                raise Away from error
            if isinstance(entry, RunEntry):
                raise Unwanted from error
            return error
        return None

    def is_own_file(self, error: Exception) -> bool:
        """Whether the error is about a file of the run folder, not about the store."""
        name = error.filename if isinstance(error, OSError) else None
        return isinstance(name, str) and Path(name).is_relative_to(self.outbox.folder)

    def send_entry(self, entry: Entry, run_id: str) -> None:
        match entry:
            case RunEntry():
                self.create_run(entry)
            case ReopenEntry():
                self.store.reopen(run_id)
            case TagsEntry():
                self.store.log_tags(run_id, entry.tags)
            case ParamsEntry():
                self.store.log_params(run_id, entry.params)
            case MetricsEntry():
                self.store.log_metrics(run_id, entry.metrics)
            case ImageEntry():
                self.send_image(entry, run_id)
            case ArtifactEntry():
                self.send_artifact(entry, run_id)
            case DatasetEntry():
                self.send_dataset(entry, run_id)
            case ModelEntry():
                self.send_model(entry, run_id)
            case RegisterEntry():
                self.register(entry, run_id)
            case StatusEntry():
                self.end_run(entry, run_id)
            case _:
                assert_never(entry)

    def create_run(self, entry: RunEntry) -> None:
        """Creates the run, unless an earlier attempt did and its answer was lost."""
        tags = {**entry.tags, KEY: self.outbox.facts.key}
        found = self.store.newest(f"tags.{KEY} = '{tags[KEY]}'")
        run_id = found.info.run_id if found else None
        self.outbox.record_run(run_id or self.store.create_run(entry.name, tags, entry.time))

    def send_image(self, entry: ImageEntry, run_id: str) -> None:
        if path := self.file(entry.path):
            picture = (entry.key, path, entry.time, entry.step)
            if self.sent_before:
                artifacts.remove_image(self.store, run_id, *picture)
            artifacts.log_image(self.store, run_id, *picture)

    def send_artifact(self, entry: ArtifactEntry, run_id: str) -> None:
        if path := self.file(entry.path):
            artifacts.log_files(self.store, run_id, path, entry.folder)

    def send_dataset(self, entry: DatasetEntry, run_id: str) -> None:
        from flexunet_exp.data import dataset

        table = dataset.read_table(self.inside(entry.path))
        self.store.log_dataset(run_id, table, entry.name, entry.digest, entry.source)

    def send_model(self, entry: ModelEntry, run_id: str) -> None:
        stored_models.remove_partial_models(self.store, run_id, KERAS_MODEL)
        if stored_models.whole_model(self.store, run_id, KERAS_MODEL):  # an earlier attempt sent it
            return
        import numpy as np

        from flexunet_exp.system import tensorflow

        tensorflow.load()
        from flexunet_exp.models.files import read_network

        network = read_network(self.inside(entry.path))
        example = np.load(self.inside(entry.example), allow_pickle=False)
        stored_models.log_network(self.store, run_id, network, example)

    def register(self, entry: RegisterEntry, run_id: str) -> None:
        from flexunet_exp.tracking import registry

        registry.register(self.store, run_id, self.outbox.folder, entry.name, entry.objective)

    def end_run(self, entry: StatusEntry, run_id: str) -> None:
        self.store.end_run(run_id, entry.status, entry.time)

    def inside(self, name: str) -> Path:
        """A path of the run folder; InputError where it, or a file below it, lies outside."""
        path, root = self.outbox.folder / name, self.outbox.folder.resolve()
        for part in (path, *path.rglob("*")):
            if not part.resolve().is_relative_to(root):
                raise InputError(f"{part} lies outside the run folder, so it is not sent.")
        return path

    def file(self, name: str) -> Path | None:
        """The file or folder of an entry; None where it was removed from the run folder."""
        path = self.inside(name)
        if path.exists():
            return path
        log.warning("%s is missing from the run folder, and so from the store.", path)
        return None
