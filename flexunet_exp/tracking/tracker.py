"""Reports a training run to the store while it is trained.

The run folder has the original of everything; the store has copies.
"""

from __future__ import annotations

import logging
import math
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flexunet_exp.config.compose import PACKAGE
from flexunet_exp.config.identity import every
from flexunet_exp.errors import Hopeless, Pruned
from flexunet_exp.runs import claims
from flexunet_exp.system.parallel import Background
from flexunet_exp.tracking import sqlite_peek
from flexunet_exp.tracking.address import absolute_uri, sqlite_file
from flexunet_exp.tracking.entries import (
    ArtifactEntry,
    DatasetEntry,
    Entry,
    ImageEntry,
    Metric,
    MetricsEntry,
    ModelEntry,
    ParamsEntry,
    RegisterEntry,
    ReopenEntry,
    RunEntry,
    StatusEntry,
    TagsEntry,
)
from flexunet_exp.tracking.mlflow_client import milliseconds
from flexunet_exp.tracking.outbox import ENTRIES, EXAMPLE, Facts, Outbox, exists
from flexunet_exp.tracking.reachable import is_away, require_server
from flexunet_exp.tracking.sender import Away, Sender
from flexunet_exp.tracking.settings import TrackingSettings
from flexunet_exp.tracking.store import ERROR, HOST, PARENT, STOPPED, Store
from flexunet_exp.tracking.trouble import store_trouble

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

SOURCE = {"mlflow.source.name": "flexunet train", "mlflow.source.type": "LOCAL"}


class Tracker:
    """Takes the reports of a training run; drops them before `begin` and without a store.

    Reports wait until `commit` writes them into the run's outbox, which `upload` sends. While the
    store is away they stay in the outbox, and the training goes on. One thread at a time uses the
    outbox: all that writes it waits for an upload in the background.
    """

    def __init__(self, settings: TrackingSettings, name: str, folder: Path):
        self.settings, self.name, self.folder = settings, name, folder
        self.started = milliseconds()  # of the work that the run stands for, its data included
        self.outbox: Outbox | None = None
        self.waiting: list[Entry] = []
        self._store: Store | None = None
        self.is_away = False
        self.next_attempt = 0.0
        self.settled = 0  # bytes of the outbox that the store may have
        self.background = Background()

    @property
    def run_id(self) -> str | None:
        """The run's id in the store; None before the store has the run."""
        return self.outbox.facts.run_id if self.outbox else None

    @property
    def store(self) -> Store | None:
        """The store to search in; None without one.

        Also None for a sweep's job while the store is away, so that the sweep goes on.
        """
        if self._store is None and self.settings.uri and not self.is_away:
            try:
                require_server(self.settings.uri)
                self._store = Store(self.settings.uri, self.settings.experiment_name)
            except Exception as error:
                if not (self.settings.parent_run_id and is_away(error)):
                    raise
                self.is_away = True
                log.warning(
                    "The store %s is not reachable: %s. It cannot tell whether this work was done "
                    "before, so the work is done now, and uploaded when the store is back.",
                    self.settings.uri,
                    store_trouble(error),
                )
        return self._store

    @property
    def has_store(self) -> bool:
        """Whether the store is at hand: else MLflow is still to be imported."""
        return self._store is not None

    def store_with(self, signature: str, course: str = "") -> Store | None:
        """The store, to look up the runs of a signature, or of a course; None without one.

        None too where it surely has none of them: then MLflow need not be imported for it.
        """
        if self._store is None and self.settings.uri:
            names = (*every(signature), course)
            if sqlite_peek.surely_new(self.settings.uri, self.settings.experiment_name, names):
                return None
        return self.store

    @property
    def is_begun(self) -> bool:
        """Whether the store has the run, or the outbox has it for the store."""
        return self.outbox is not None and bool(self.run_id or self.outbox.length)

    def open(self, folder: Path) -> None:
        """Reports from now on for the run in `folder`, which may have an outbox."""
        self.folder = folder
        if self.settings.uri:
            facts = Facts(absolute_uri(self.settings.uri), self.settings.experiment_name)
            self.outbox = Outbox(folder, facts)
            if not (self.is_away and self.run_id):  # else this store may lack the run
                self.outbox.facts.uri = facts.uri  # the project or the server may have been moved
            self.sender = Sender(self.outbox)

    def begin(self, tags: Mapping[str, str]) -> None:
        """Creates the run, below its multirun's parent if there is one, or reopens it."""
        if self.outbox is None:
            self.open(self.folder)
        if self.outbox is None:
            return
        parent = self.settings.parent_run_id
        nesting = {PARENT: parent} if parent else {}
        tags = {**SOURCE, HOST: socket.gethostname(), **git_tags(), **nesting, **tags}
        if self.is_begun:
            self.add(ReopenEntry())
            self.tag(tags)
        else:
            self.add(RunEntry(self.name, texts(tags), time=self.started))
        self.settled = self.commit()

    def finish(self, status: str, tags: Mapping[str, str] | None = None) -> None:
        if not self.is_begun:
            return
        self.tag(tags or {})
        self.add(StatusEntry(status))
        try:
            self.commit()
            self.next_attempt = 0.0
            self.upload()
        except OSError:  # the run folder's disk, not the store's
            if self.run_id and status != "FINISHED":
                self.sender.store.end_run(self.run_id, status)
            raise

    def fail(self, error: BaseException) -> None:
        """Ends the run as FAILED; records a sweep's cell even if it failed before it began."""
        if self.outbox is None and self.settings.parent_run_id and not exists(self.folder):
            self.begin({})
        self.finish("FAILED", {ERROR: f"{type(error).__name__}: {error}"[:4000]})

    def tag(self, tags: Mapping[str, str]) -> None:
        if tags:
            self.add(TagsEntry(texts(tags)))

    def params(self, params: Mapping[str, Any]) -> None:
        self.add(ParamsEntry(texts(params)))

    def metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Adds figures; leaves out undefined ones (NaN), for which the UI draws empty charts."""
        now = milliseconds()
        defined = {key: float(v) for key, v in metrics.items() if not math.isnan(v)}
        figures = (Metric(key, value, now, int(step)) for key, value in defined.items())
        self.add(MetricsEntry(tuple(figures)))

    def image(self, key: str, path: Path, step: int) -> None:
        """Adds a PNG file of the run folder to the slider `key`."""
        self.add(ImageEntry(key, self.relative(path), int(step)))

    def artifact(self, path: Path, folder: str = "") -> None:
        """Adds a file or folder of the run folder below the artifact folder `folder`."""
        self.add(ArtifactEntry(self.relative(path), folder))

    def dataset(self, table: Path, name: str, digest: str, source: str) -> None:
        """Sets the sample table's file as the run's dataset input."""
        self.add(DatasetEntry(self.relative(table), name, digest, source))

    def model(self, path: Path, example: np.ndarray) -> None:
        """Adds a Keras file as the run's model, with an input example (1, H, W, N)."""
        import numpy as np

        if self.outbox and self.settings.log_model:
            np.save(self.folder / EXAMPLE, example, allow_pickle=False)
            self.add(ModelEntry(self.relative(path), EXAMPLE))

    def register(self, name: str, objective: str) -> None:
        """Makes the run's best model a version of the registered model `name`."""
        self.add(RegisterEntry(name, objective))

    def relative(self, path: Path) -> str:
        """The path within the run folder, for the outbox: the run folder may be moved."""
        return path.relative_to(self.folder).as_posix()

    def add(self, entry: Entry) -> None:
        if self.outbox:
            self.waiting.append(entry)

    def forget(self) -> None:
        """Drops the reports that a resumed run will repeat.

        These are the waiting ones, and those committed for a state that was then not written.
        """
        self.waiting.clear()
        if self.outbox:
            try:
                self.background.wait()
            finally:
                self.outbox.rewind(max(self.settled, claims.outbox_kept(self.folder)))

    def commit(self) -> int:
        """Writes the waiting reports into the outbox; returns the outbox's length in bytes."""
        if self.outbox is None:
            return 0
        self.background.wait()
        self.outbox.append(self.waiting)
        self.waiting.clear()
        return self.outbox.length

    def rewind(self, length: int) -> None:
        """Cuts the outbox back to this length."""
        if self.outbox:
            self.outbox.rewind(length)

    def upload(self) -> None:
        """Sends the entries of the outbox if the store answers.

        Call it only when a resumed run would not report these entries again. After a failure, the
        next attempt waits ten times as long as the failed one took: a store that hangs costs a
        training at most a tenth of its time.
        """
        self.background.wait()
        self.settle()
        if self.is_due:
            self.send()

    def upload_in_background(self) -> None:
        """Uploads while the training goes on; the next commit raises what fails."""
        self.settle()
        if self.is_due:
            self.background.start(self.send)

    def settle(self) -> None:
        """Keeps that the store may have all that the outbox holds now."""
        self.settled = self.outbox.length if self.outbox else 0

    @property
    def is_due(self) -> bool:
        return self.outbox is not None and time.monotonic() >= self.next_attempt

    def send(self) -> None:
        started = time.monotonic()
        try:
            taken = self.sender.send()
        except Away as away:
            self.next_attempt = time.monotonic() + 10 * (time.monotonic() - started)
            if not self.is_away:
                self.warn_away(away)
            self.is_away = True
            return
        if self.is_away:
            log.info("The store is back: %d entries of the outbox uploaded.", taken)
        self.is_away = False

    def warn_away(self, away: Away) -> None:
        log.warning(
            "The store %s is not reachable: %s. Figures are kept in %s and uploaded when it is "
            "back.",
            self.sender.uri,
            store_trouble(away.__cause__),
            self.folder / ENTRIES,
        )

    def close(self) -> None:
        """Closes the outbox; removes it where the run has ended and all of it was sent."""
        self.background.close()
        if self.outbox is None:
            return
        is_unfinished = claims.is_marked(self.folder)
        if left := self.outbox.num_left():
            again = "the same command" if is_unfinished else self.sync_command()
            log.warning("%d entries are not in the store yet. When it is back: %s", left, again)
        if left or is_unfinished:
            self.outbox.close()
        else:
            self.outbox.remove()

    def sync_command(self) -> str:
        uri = self.sender.uri
        where = [f"tracking.uri={uri}"] if sqlite_file(uri) is None else []
        return shlex.join(["flexunet", "sync", f"run={self.folder}", *where])


@contextmanager
def tracked(tracker: Tracker) -> Iterator[Tracker]:
    """A tracker whose run is ended as FINISHED, FAILED with the error, or KILLED.

    A pruned trial is KILLED too, so that no command takes it for a finished run.
    """
    try:
        yield tracker
        tracker.finish("FINISHED")
    except KeyboardInterrupt:
        with log_trouble():
            tracker.forget()
        with log_trouble():
            tracker.finish("KILLED")
        raise
    except Pruned as pruned:
        with log_trouble():
            tracker.finish("KILLED", {STOPPED: str(pruned)})
        raise
    except (Exception, SystemExit) as error:
        if not isinstance(error, Hopeless):  # the run goes on later and reports these again
            with log_trouble():
                tracker.forget()
        with log_trouble():
            tracker.fail(error)
        raise


@contextmanager
def log_trouble() -> Iterator[None]:
    """Logs an error of the outbox, which must not hide the run's own error."""
    try:
        yield
    except Exception as error:
        log.error("The store got no report: %s", error)


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in values.items()}


@cache
def git_tags() -> dict[str, str]:
    """Commit and dirty state of the checkout this package runs from; nothing for a wheel."""
    root = PACKAGE.parent
    if not (root / ".git").exists():
        return {}
    try:
        commit, changes = (
            subprocess.run(
                ["git", "-C", str(root), *words],
                capture_output=True,
                text=True,
                check=True,
                timeout=10,
            ).stdout.strip()
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"mlflow.source.git.commit": commit, "git_dirty": str(bool(changes)).lower()}
