"""A multirun: its parent run in the store, the table of its cells, and its end."""

from __future__ import annotations

import logging
import math
import re
import socket
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from statistics import mean

from flexunet_exp.config.identity import every
from flexunet_exp.config.overrides import shell
from flexunet_exp.runs import claims
from flexunet_exp.runs.outcome import RESULT, Outcome, read_outcome
from flexunet_exp.system.files import write_table
from flexunet_exp.tracking.address import store_words
from flexunet_exp.tracking.sender import KEY
from flexunet_exp.tracking.settings import TrackingSettings
from flexunet_exp.tracking.store import HOST, LONGEST, OVERRIDES, PARENT, RUN_FOLDER, SWEEP, Store
from flexunet_exp.tracking.tracker import Tracker, log_trouble

log = logging.getLogger(__name__)

CELLS = "cells.csv"
DONE = ("finished", "skipped")  # how a cell ends whose work is done, now or earlier
REPEATS = {"split.fold", "split.seed", "trainer.seed"}  # axes that repeat one experiment


class Multirun:
    """A multirun in `folder`, and its parent run in the store where there is one.

    `conclude` prints and writes the result once all jobs have ended: the table of cells, or the
    report of a search. Launchers send a multirun to their workers.
    """

    def __init__(self, tracking: TrackingSettings, folder: Path, axes: Iterable[str] = ()):
        self.tracking, self.folder, self.axes = tracking, folder, list(axes)
        self.parent_run_id: str | None = None
        self.is_new = True  # False if an earlier command began it
        self.is_ended = False
        self.conclude: Callable[[Multirun], None] = show_cells

    @property
    def is_repetition(self) -> bool:
        """Whether the cells are folds or seeds of one experiment, of which none is the best."""
        return bool(self.axes) and set(self.axes) <= REPEATS

    def command(self, *words: str) -> str:
        """A command on the sweep, with the words that find its store."""
        where = store_words(self.tracking.uri, self.tracking.experiment_name)
        return shell(["flexunet", *words, *where])

    def open_parent(self, overrides: list[str], signature: str, rerun: str) -> None:
        """Reopens the parent run if the same sweep was started before, else creates one.

        A new one is called after the axes of the sweep.
        """
        assert self.tracking.uri
        store = Store(self.tracking.uri, self.tracking.experiment_name)
        found = (store.newest(f"tags.{SWEEP} = '{name}'") for name in every(signature))
        run = next(filter(None, found), None)
        self.is_new = run is None or rerun == "all"
        if run is not None and not self.is_new:
            self.parent_key = run.data.tags.get(KEY, self.parent_key)
            store.log_tags(run.info.run_id, {KEY: self.parent_key})
            store.reopen(run.info.run_id)
            self.parent_run_id = run.info.run_id
            return
        command = f"flexunet train -m {' '.join(overrides)}"
        name = self.tracking.run_name or name_of(self.axes)
        tags = {
            KEY: self.parent_key,
            SWEEP: signature,
            OVERRIDES: command[:LONGEST],
            "mlflow.note.content": f"`{command}`",
        }
        self.parent_run_id = store.create_run(name, tags)

    @cached_property
    def parent_key(self) -> str:
        """The key by which the parent run and its outbox are matched."""
        return uuid.uuid4().hex

    @cached_property
    def parent(self) -> Tracker:
        """The tracker of the parent run."""
        tracker = Tracker(self.tracking, "sweep", self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        tracker.open(self.folder)
        if tracker.outbox and self.parent_run_id:
            tracker.outbox.facts.key = self.parent_key
            tracker.outbox.record_run(self.parent_run_id)
        return tracker

    def keep_cells(self, outcomes: list[Outcome]) -> None:
        """Writes how the cells ended as a table into the multirun's folder and its parent run."""
        if not outcomes:
            return
        import pandas as pd

        columns = ["number", "name", "status", "objective", "minutes", "run_id", "folder", "error"]
        table = pd.DataFrame(map(asdict, outcomes))[columns].rename(columns={"number": "cell"})
        write_table(self.folder / CELLS, table)
        if self.parent_run_id:
            self.parent.artifact(self.folder / CELLS)

    def keep_counts(self, counts: Mapping[str, int]) -> None:
        """Tags the parent run with how many cells ended how."""
        if self.parent_run_id:
            self.parent.tag({f"cells.{state}": str(number) for state, number in counts.items()})

    def keep_winner(self, winner: Outcome) -> None:
        """Gives the parent run the figures of its best cell, which rank sweeps in the UI."""
        if self.parent_run_id:
            self.parent.metrics(winner.figures)
            self.parent.tag({"winner": winner.name, "winner_run_id": winner.run_id or ""})

    def keep_means(self, figures: Mapping[str, float]) -> None:
        """Gives the parent run the means over its cells."""
        if self.parent_run_id:
            self.parent.metrics(figures)

    def finish(self) -> int:
        """Concludes the multirun and ends its parent run; 1 if a cell failed."""
        failed = any(outcome.status == "failed" for outcome in outcomes_in(self.folder))
        self.conclude(self)
        self.end("FAILED" if failed else "FINISHED", all_ended=True)
        return int(failed)

    def abandon(self, status: str) -> None:
        """Ends the parent run of a multirun that was interrupted or failed."""
        if not self.is_ended:
            with log_trouble():
                self.end(status)

    def end(self, status: str, all_ended: bool = False) -> None:
        """Ends the parent run; deletes a new one that never got a job.

        `all_ended` says that no cell is trained any more, on this machine or on another.
        """
        self.is_ended = True  # also if the rest is interrupted
        if not self.parent_run_id:
            return
        with closing(self.parent) as parent:
            try:
                parent.finish(status)
            except KeyboardInterrupt:
                with log_trouble():
                    parent.finish(status)
                raise
            if parent.is_away:
                return
            self.end_cells(store := parent.sender.store, all_ended)
            if self.is_new and not outcomes_in(self.folder):
                store.delete_run(self.parent_run_id)

    def end_cells(self, store: Store, all_ended: bool) -> None:
        """Ends the runs of cells whose process is gone: killed, or lost with its node.

        An interrupted command cannot know this of another machine, whose jobs may go on.
        """
        cells = f"tags.`{PARENT}` = '{self.parent_run_id}' AND attributes.status = 'RUNNING'"
        for run in store.runs(cells):  # all at once: what is ended here leaves the listing
            tags = run.data.tags
            is_known = all_ended or tags.get(HOST) == socket.gethostname()
            if is_known and not claims.is_busy(Path(tags.get(RUN_FOLDER, ""))):
                store.end_run(run.info.run_id, "KILLED")


def name_of(axes: Iterable[str]) -> str:
    """A sweep's name, from the keys it goes over: `loss × base_filters`."""
    return " × ".join(dict.fromkeys(re.split(r"[./]", axis)[-1] for axis in axes)) or "sweep"


def outcomes_in(folder: Path) -> list[Outcome]:
    """How the jobs below a multirun's folder ended, whatever hydra.sweep.subdir is."""
    folders = {path.parent for name in (".hydra", RESULT) for path in folder.rglob(name)}
    outcomes = [read_outcome(path) for path in folders]
    return sorted(outcomes, key=lambda outcome: (outcome.number, outcome.folder))


def winner_of(outcomes: Iterable[Outcome]) -> Outcome | None:
    """The cell with the highest objective, of those that have learned something."""
    scored = [one for one in outcomes if one.learned and not math.isnan(one.objective)]
    done = [one for one in scored if one.status in DONE]
    return max(done, key=lambda one: one.objective, default=None)


def counts_of(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """How many cells ended how; a skipped one was finished by an earlier command."""
    done = [one for one in outcomes if one.status in DONE]
    return {
        "finished": len(done),
        "failed": sum(one.status == "failed" for one in outcomes),
        "learned_nothing": sum(not one.learned for one in done),
    }


def means_of(outcomes: Iterable[Outcome]) -> dict[str, float]:
    """The mean of each figure over the cells that are done, of figures that all of them have."""
    every_cell = [one.figures for one in outcomes if one.status in DONE]
    common = set.intersection(*map(set, every_cell)) if every_cell else set()
    return {name: mean(cell[name] for cell in every_cell) for name in sorted(common)}


def show_cells(multirun: Multirun) -> None:
    """Prints the table of a multirun's cells, and writes it."""
    outcomes = outcomes_in(multirun.folder)
    print_cells(outcomes)
    multirun.keep_cells(outcomes)
    multirun.keep_counts(counts_of(outcomes))
    if multirun.is_repetition:
        show_means(multirun, outcomes)
    elif best := winner_of(outcomes):
        multirun.keep_winner(best)
        print(f"Winner: cell {best.number}, {best.name}, objective {best.objective:.4f}")
    elif any(one.status in DONE for one in outcomes):
        print("No winner: no cell has learned anything (tag learned=false).")
    if multirun.parent_run_id:
        print(f"Compare: {multirun.command('compare', f'runs={multirun.parent_run_id}')}")


def show_means(multirun: Multirun, outcomes: Sequence[Outcome]) -> None:
    """Prints and keeps the means over folds or seeds, and says how to score folds together."""
    multirun.keep_means(means_of(outcomes))
    scored = [one.objective for one in outcomes if one.status in DONE]
    if not scored or any(map(math.isnan, scored)):
        return
    spread = f", from {min(scored):.4f} to {max(scored):.4f}" if len(scored) > 1 else ""
    print(f"Mean of {len(scored)} cells: objective {mean(scored):.4f}{spread}")
    if "split.fold" in multirun.axes:
        parent = multirun.parent_run_id or multirun.folder
        print(f"Score the folds together: {multirun.command('evaluate', f'run={parent}')}")


def print_cells(outcomes: list[Outcome]) -> None:
    """Prints one row per cell: name, how it ended, objective and minutes; errors below."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Sweep", title_justify="left")
    for column in ("cell", "name", "ended", "objective", "minutes"):
        table.add_column(column, justify="left" if column in ("name", "ended") else "right")
    for outcome in outcomes:
        score = "–" if math.isnan(outcome.objective) else f"{outcome.objective:.4f}"
        minutes = f"{outcome.minutes:.1f}"
        table.add_row(str(outcome.number), outcome.name, outcome.status, score, minutes)
    console = Console()
    console.print(table)
    for outcome in outcomes:
        if outcome.error:
            line = f"cell {outcome.number} failed: {outcome.error}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
