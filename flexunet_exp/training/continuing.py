"""More epochs for a finished run: a new run goes on from the last state that the finished one kept.

`trainer.keep_state=true` leaves a folder `last_state` in the run folder: the state after the last
epoch, the best network so far, and a mark with the run's course. A *course* is all that decides the
weights but the number of epochs, so that two runs of one course train the same, one for longer. The
finished folder is only read.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from flexunet_exp.runs import claims
from flexunet_exp.system.files import replace_file, whole_or_nothing
from flexunet_exp.tracking.store import COURSE, EPOCHS, RUN_FOLDER, Store
from flexunet_exp.training import state
from flexunet_exp.training.state import LAST, Keeper

log = logging.getLogger(__name__)

EACH_EPOCH = "epoch/train/loss"  # a figure that the store has of every epoch


@dataclass(frozen=True)
class Shorter:
    """A finished run of the same course with fewer epochs."""

    name: str  # its id in the store; without one, its folder
    folder: Path
    epochs: int  # that it was to train
    course: str
    ended: int | None = None  # the epoch after which it ended; None: not known

    @property
    def is_ended_early(self) -> bool:
        return self.ended is not None and self.ended < self.epochs

    @property
    def state(self) -> Path:
        return self.folder / LAST / claims.STATE

    @property
    def has_state(self) -> bool:
        """Whether the folder, which a later run can have taken, keeps the run's last state."""
        marked = read_mark(self.folder)
        is_own = (marked.get("course"), marked.get("epochs")) == (self.course, self.epochs)
        return is_own and self.state.is_file()


def mark(run_folder: Path, course: str, epochs: int) -> None:
    """Marks the last state of a run as whole, where one was kept."""
    if (run_folder / LAST / claims.STATE).is_file():
        facts = {"course": course, "epochs": epochs}
        replace_file(run_folder / LAST / claims.MARK, json.dumps(facts).encode())


def read_mark(run_folder: Path) -> dict:
    try:
        facts = json.loads((run_folder / LAST / claims.MARK).read_text())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def find(store: Store | None, course: str, epochs: int) -> Shorter | None:
    """The finished run that has trained the most epochs of this course, fewer than `epochs`.

    One that has kept its state comes before one that has not.
    """
    found = [one for one in (*stored(store, course), *near(course)) if 0 < one.epochs < epochs]
    best = max(found, key=lambda one: (one.has_state, one.epochs), default=None)
    if store is None or best is None or best.has_state:
        return best
    return replace(best, ended=last_epoch(store, best.name))


def last_epoch(store: Store, run_id: str) -> int | None:
    """The last epoch of which the store has a figure; None for a run that took its weights over."""
    return max(store.steps_of(run_id, EACH_EPOCH), default=None)


def stored(store: Store | None, course: str) -> Iterator[Shorter]:
    for run in store.whole_runs(f"tags.{COURSE} = '{course}'", "FINISHED") if store else ():
        tags = run.data.tags
        epochs = int(tags.get(EPOCHS, 0))
        yield Shorter(run.info.run_id, Path(tags.get(RUN_FOLDER, "")), epochs, course)


def near(course: str) -> Iterator[Shorter]:
    """The runs below ./outputs that have kept their state, for a command without a store."""
    for folder in claims.near(LAST):
        if (facts := read_mark(folder)).get("course") == course:
            yield Shorter(str(folder), folder, int(facts.get("epochs", 0)), course)


def take_up(shorter: Shorter, keeper: Keeper) -> bool:
    """Makes the last state of a finished run that of a new one; False where it is damaged."""
    try:
        with open(shorter.state, "rb") as old:
            facts = claims.read_json(old)
            begins = old.tell()
            for _ in range(facts["arrays"]):
                np.load(old, allow_pickle=False)
            old.seek(begins)
            best = keeper.folder / f"best_{facts['epochs']}.keras"
            state.name_twice(shorter.folder / LAST / keeper.best.name, best)
            with whole_or_nothing(keeper.folder / claims.STATE) as part, open(part, "wb") as new:
                state.write_json(new, {**facts, "parent": shorter.name})
                shutil.copyfileobj(old, new)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        log.warning("The last state of %s is damaged (%s).", shorter.name, error)
        return False
    log.info("Going on from the last state of %s, after epoch %d.", shorter.name, shorter.epochs)
    return True


def offer(shorter: Shorter, is_constant: bool) -> None:
    """Logs why a run does not go on from a shorter one, and what is possible instead."""
    if is_constant and shorter.is_ended_early:
        log.warning(
            "%s has trained the same, and ended early, after epoch %d of %d: more epochs alone "
            "change nothing. This run begins anew, and is likely to end there, too. To begin with "
            "the weights of that one: init_from=%s",
            *(shorter.name, shorter.ended, shorter.epochs, shorter.name),
        )
        return
    why = (
        "it kept no state (trainer.keep_state=true)"
        if is_constant
        else "its schedule of the learning rate ended with its last epoch"
    )
    log.warning(
        "%s has trained the same for %d epochs. This run begins anew, because %s. To begin with "
        "the weights of that one: init_from=%s",
        *(shorter.name, shorter.ended or shorter.epochs, why, shorter.name),
    )
