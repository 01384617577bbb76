"""Sends the store what an outbox holds: in order, and however often it is cut off, each entry once.

Metrics sent again with the same time are kept once, tags, parameters and files are what they were,
an image or a model that was sent in part is removed first.
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

KEY = "journal"  # the tag by which a run is found whose creation was not answered


class Away(Exception):
    """The store cannot be sent anything now; the cause says why."""


class Unwanted(Away):
    """The store is there and will not have this run at all."""


class Sender:
    """Sends one outbox, to the store it is for or to the same store at another address."""

    def __init__(self, outbox: Outbox, uri: str | None = None):
        self.outbox, self.uri = outbox, uri or outbox.facts.uri
        self._store: Store | None = None
        self.is_unsure = True  # whether the next entry reached the store already, or a part of it
        self.warned: set[type[Entry]] = set()  # kinds of which the store refused an entry
        self.sent_before = True  # as the entry at hand may have been

    @property
    def store(self) -> Store:
        if self._store is None:
            self._store = Store(self.uri, self.outbox.facts.experiment)
        return self._store

    def send(self) -> int:
        """Sends what was not tried yet; the number of entries that the store took.

        Raises Away where it could not go on. An entry that the store refuses is logged and noted,
        and the others go on.
        """
        return self.send_each(self.outbox.left())

    def send_refused(self) -> int:
        """Tries what the store refused before, and then sends once more how the run ended.

        For it may have been reopened after that.
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
            self.is_unsure = False  # from here on: an interrupt comes whenever it likes
            if refusal:
                refused += 1
                self.warn_refused(entry, refusal)
        return len(waiting) - refused

    def warn_refused(self, entry: Entry, refusal: Exception) -> None:
        """Once a kind of entry; the end of the run says how many there are."""
        if type(entry) not in self.warned:
            path, why = self.outbox.folder / ENTRIES, first_line(refusal)
            word = WORDS[type(entry)]
            log.warning("The store refused an entry of %s (%s): %s", path, word, why)
        self.warned.add(type(entry))

    def require_answer(self) -> None:
        """Raises Away where the store does not answer; one that hangs costs a few seconds."""
        try:
            require_server(self.uri)
            require_unlocked(self.uri)
            _ = self.store
        except Exception as error:
            raise Away from error

    def require_own_run(self) -> None:
        """Raises InputError where the outbox names a run of the store that is not its own."""
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
            raise InputError(f"Run {run_id} of the store is not the one that this outbox began.")

    def send_one(self, entry: Entry) -> Exception | None:
        """Sends an entry; the error with which the store refused it, if it did."""
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
        """Whether it is about a file of the run folder, not about the store."""
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
        """Creates the run, unless an attempt did whose answer was lost."""
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
        if stored_models.whole_model(self.store, run_id, KERAS_MODEL):  # sent before a kill
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
        """A path of the run folder; InputError for one that leads out of it, or holds one."""
        path, root = self.outbox.folder / name, self.outbox.folder.resolve()
        for part in (path, *path.rglob("*")):
            if not part.resolve().is_relative_to(root):
                raise InputError(f"{part} is no file of the run folder, and nothing else is sent.")
        return path

    def file(self, name: str) -> Path | None:
        """The file or folder of an entry, None where it was removed from the run folder."""
        path = self.inside(name)
        if path.exists():
            return path
        log.warning("%s is gone, it will be missing in the store.", path)
        return None
