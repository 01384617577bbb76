"""What a training run reports to the store while it goes on.

The run folder is the truth and the store mirrors it.
"""

from __future__ import annotations

import logging
import math
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from flexunet_exp.config import PACKAGE
from flexunet_exp.errors import Hopeless, Pruned
from flexunet_exp.store import ERROR, HOST, PARENT, STOPPED, Store, milliseconds

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

SOURCE = {"mlflow.source.name": "flexunet train", "mlflow.source.type": "LOCAL"}


@dataclass
class Waiting:
    """Metrics (key, value, milliseconds, step), images (key, PNG, milliseconds, step) and tags."""

    metrics: list[Any] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    images: list[Any] = field(default_factory=list)


class Tracker:
    """Where a training run reports; before `begin`, and without a store, it goes nowhere.

    Metrics and images wait until `deliver`, each with the time it was made: sent again with the
    same time after an interruption, the store keeps it once.
    """

    def __init__(self, cfg: DictConfig, name: str):
        self.cfg, self.name = cfg.tracking, name
        self.run_id: str | None = None
        self._store: Store | None = None
        self.waiting = Waiting()
        self.sent_before = False  # what waits may have reached the store already

    @property
    def store(self) -> Store | None:
        if self._store is None and self.cfg.uri:
            self._store = Store(self.cfg.uri, self.cfg.experiment_name)
        return self._store

    def begin(self, tags: Mapping[str, str]) -> None:
        """Creates the run, below its multirun's parent if there is one, or reopens `run_id`."""
        if self.store is None:
            return
        parent = self.cfg.parent_run_id
        nesting = {PARENT: parent} if parent else {}
        tags = {**SOURCE, HOST: socket.gethostname(), **git_tags(), **nesting, **tags}
        if self.run_id is None:
            self.run_id = self.store.create_run(self.name, tags)
        else:
            self.store.reopen(self.run_id)
            self.tag(tags)

    def finish(self, status: str, tags: Mapping[str, str] | None = None) -> None:
        if self.run_id and self.store:
            self.tag(tags or {})
            self.store.client.set_terminated(self.run_id, status)

    def fail(self, error: BaseException) -> None:
        """Ends the run as FAILED; a sweep's cell that failed before it began is recorded too."""
        if self.run_id is None and self.cfg.parent_run_id:
            self.begin({})
        self.finish("FAILED", {ERROR: f"{type(error).__name__}: {error}"[:4000]})

    def tag(self, tags: Mapping[str, str]) -> None:
        if self.run_id and self.store:
            for key, value in tags.items():
                self.store.client.set_tag(self.run_id, key, value)

    def params(self, params: Mapping[str, Any]) -> None:
        if self.run_id and self.store:
            self.store.log_params(self.run_id, params)

    def metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Undefined (NaN) figures are left out: the UI would draw an empty chart for them."""
        if self.run_id:
            now = milliseconds()
            self.waiting.metrics += [
                (key, float(value), now, step)
                for key, value in metrics.items()
                if not math.isnan(value)
            ]

    def image(self, key: str, path: Path, step: int) -> None:
        """A PNG file for the slider `key`; the only thing written under images/."""
        if self.run_id:
            self.waiting.images.append((key, str(path), milliseconds(), step))

    def tag_later(self, tags: Mapping[str, str]) -> None:
        """Tags that wait as metrics do."""
        self.waiting.tags |= tags

    def undelivered(self) -> dict[str, Any]:
        """What the store has not been sent, as JSON can hold it."""
        return asdict(self.waiting)

    def take_back(self, undelivered: Mapping[str, Any]) -> None:
        """Has what an interrupted run had still to deliver, or had in part, wait again."""
        self.waiting = Waiting(**undelivered)
        self.sent_before = True

    def deliver(self) -> None:
        """Sends all that waits."""
        if self.run_id and self.store:
            self.store.log_metrics(self.run_id, self.waiting.metrics)
            if self.sent_before:
                self.store.remove_images(self.run_id, self.waiting.images)
            self.store.log_images(self.run_id, self.waiting.images)
            self.tag(self.waiting.tags)
        self.waiting = Waiting()
        self.sent_before = False

    def artifact(self, path: Path, folder: str = "") -> None:
        """A file, or a folder with all it holds, below the artifact folder `folder`."""
        if self.run_id and self.store:
            send = (
                self.store.client.log_artifacts if path.is_dir() else self.store.client.log_artifact
            )
            send(self.run_id, str(path), folder or None)

    def dataset(self, table: Any, name: str, digest: str, source: str) -> None:
        """The sample table as the run's dataset input."""
        if self.run_id and self.store:
            self.store.log_dataset(self.run_id, table, name, digest, source)

    def model(self, model: Any, example: np.ndarray) -> None:
        """The Keras model with an input example (1, H, W, 3) uint8, unless the store has it."""
        if not (self.run_id and self.store and self.cfg.log_model):
            return
        if not self.store.has_model(self.run_id):  # else it was sent before an interruption
            self.store.log_model(self.run_id, model, example)


@contextmanager
def tracked(cfg: DictConfig, name: str) -> Iterator[Tracker]:
    """A tracker whose run ends as what happened: FINISHED, FAILED with the error, or KILLED.

    A pruned trial is KILLED too: no command takes it for a run that came to its own end.
    """
    tracker = Tracker(cfg, name)
    try:
        yield tracker
    except KeyboardInterrupt:
        try:
            tracker.finish("KILLED")
        except Exception as unreachable:
            log.error("The store could not be told: %s", unreachable)
        raise
    except Pruned as pruned:
        tracker.deliver()
        tracker.finish("KILLED", {STOPPED: str(pruned)})
        raise
    except Exception as error:
        try:
            if isinstance(error, Hopeless):  # it does not go on: nothing is sent twice
                tracker.deliver()
            tracker.fail(error)
        except Exception as unreachable:  # the store's trouble must not hide the run's
            log.error("The store could not be told: %s", unreachable)
        raise
    else:
        tracker.finish("FINISHED")


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
