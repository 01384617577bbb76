"""A multirun as a whole: its parent run in the store, and the table of its cells at the end."""

from __future__ import annotations

import logging
import math
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict, read_write

from flexunet_exp.config.identity import every, sweep_signature, words_hashed
from flexunet_exp.config.overrides import unresolved
from flexunet_exp.errors import Abort, Enough, InputError
from flexunet_exp.jobs import job
from flexunet_exp.runs import claims
from flexunet_exp.runs.outcome import RESULT, Outcome, read_outcome
from flexunet_exp.sweeps import compose_cells, launchers, presets
from flexunet_exp.sweeps.search import report, study
from flexunet_exp.system import interrupt
from flexunet_exp.system.files import write_table
from flexunet_exp.tracking.sender import KEY
from flexunet_exp.tracking.store import HOST, PARENT, RUN_FOLDER, SWEEP, Store
from flexunet_exp.tracking.tracker import Tracker, log_trouble

log = logging.getLogger(__name__)

CELLS = "cells.csv"


class SweepCallback(Callback):
    """Opens the parent run before the first job, and tells every job of it on any launcher.

    The jobs learn their parent, and the keys they differ in, as overrides of their own: no
    environment variable or shared memory has to reach another process or machine. With dry=true
    it says what there is to do, and ends the command.
    """

    current: SweepCallback | None = None
    conclude: Callable[[], None] | None = None  # says what a study found, in place of the table

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        if config.hydra.job.name == "train":
            with handed_on():
                self.refuse_preset(config)
                if config.dry:
                    self.show_dry(config, [unresolved(config.hydra.overrides.task)])

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        if config.hydra.job.name != "train":
            return
        with handed_on():
            launchers.check(config)
            presets.check(config, loader())
            words = unresolved(config.hydra.overrides.task)
            search = study.plan(config, loader(), words) if study.is_study(config) else None
            axes = [*varying_keys(config, words), *(search.space if search else ())]
            threads = launchers.told(config, axes)
            if config.dry and search:
                report.show_dry(search)
                raise Enough
            if config.dry:
                self.show_dry(
                    config, compose_cells.overrides_of(config, loader(), [*words, *threads])
                )
            self.start(config, words, axes, search)
            tell(config, threads)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """In the process of the job, which a launcher may have started."""
        if config.hydra.job.name == "train":
            interrupt.listen()
            launchers.spread_gpus(config)

    def refuse_preset(self, config: DictConfig) -> None:
        """A preset without -m would be passed over in silence."""
        choices = config.hydra.runtime.choices
        if preset := choices.get("sweep"):
            raise InputError(f"sweep={preset} sweeps: flexunet train -m sweep={preset} …")
        if (launcher := choices.get("launcher")) != "basic":
            raise InputError(
                f"launcher={launcher} is for several runs: flexunet train -m launcher={launcher} …"
            )

    def show_dry(self, config: DictConfig, all_words: list[list[str]]) -> None:
        from flexunet_exp.sweeps import dry_run

        dry_run.show(config, loader(), all_words)
        raise Enough

    def start(
        self, config: DictConfig, overrides: list[str], axes: list[str], search: study.Plan | None
    ) -> None:
        self.folder = Path(config.hydra.sweep.dir).absolute()
        self.config = config
        if outcomes_in(self.folder):
            raise InputError(
                f"{self.folder} holds a sweep already. Choose another hydra.sweep.dir: what was "
                "finished or begun there is found and not trained again."
            )
        signature = words_hashed(search.identity) if search else sweep_signature(overrides)
        self.parent_run_id = (
            self.open_parent(overrides, signature, config.rerun) if config.tracking.uri else None
        )
        tell(config, [f"tracking.vary=[{','.join(dict.fromkeys(axes))}]"])
        if self.parent_run_id:
            tell(config, [f"tracking.parent_run_id={self.parent_run_id}"])
        SweepCallback.current = self

    def open_parent(self, overrides: list[str], signature: str, rerun: str) -> str:
        """The run of this very sweep if it was started before, to be completed, or a new one."""
        tracking = self.config.tracking
        store = Store(tracking.uri, tracking.experiment_name)
        found = (store.newest(f"tags.{SWEEP} = '{name}'") for name in every(signature))
        run = next(filter(None, found), None)
        self.is_new = run is None or rerun == "all"
        if run is not None and not self.is_new:
            self.parent_key = run.data.tags.get(KEY, self.parent_key)
            store.log_tags(run.info.run_id, {KEY: self.parent_key})
            store.reopen(run.info.run_id)
            return run.info.run_id
        command = f"flexunet train -m {' '.join(overrides)}"
        name = tracking.run_name or "sweep"
        tags = {
            KEY: self.parent_key,
            SWEEP: signature,
            "overrides": command[:4000],
            "mlflow.note.content": f"`{command}`",
        }
        return store.create_run(name, tags)

    @cached_property
    def parent_key(self) -> str:
        """By which the parent run and its outbox know each other."""
        return uuid.uuid4().hex

    @cached_property
    def parent(self) -> Tracker:
        """Reports on the parent run, as a job's tracker does on its own."""
        tracker = Tracker(self.config, "sweep", self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        tracker.open(self.folder)
        if tracker.outbox and self.parent_run_id:
            tracker.outbox.facts.key = self.parent_key
            tracker.outbox.note_run(self.parent_run_id)
        return tracker

    def keep_cells(self, outcomes: list[Outcome]) -> None:
        """How the cells ended, as a table in the multirun's folder and on its parent run."""
        if not outcomes:
            return
        import pandas as pd

        columns = ["number", "name", "status", "objective", "minutes", "run_id", "folder", "error"]
        table = pd.DataFrame(map(asdict, outcomes))[columns].rename(columns={"number": "cell"})
        write_table(self.folder / CELLS, table)
        if self.parent_run_id:
            self.parent.artifact(self.folder / CELLS)

    def end(self, status: str) -> None:
        """Ends the parent run; one that never got a job leaves no trace in the store."""
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
            self.end_cells(store := parent.sender.store)
            if self.is_new and not outcomes_in(self.folder):
                store.delete_run(self.parent_run_id)

    def end_cells(self, store: Store) -> None:
        """Ends the runs of cells whose process is gone: joblib ends its workers with SIGKILL."""
        cells = f"tags.`{PARENT}` = '{self.parent_run_id}' AND attributes.status = 'RUNNING'"
        for run in store.search(cells):
            tags = run.data.tags
            is_here = tags.get(HOST) == socket.gethostname()
            if is_here and not claims.is_busy(Path(tags.get(RUN_FOLDER, ""))):
                store.end_run(run.info.run_id, "KILLED")


def tell(config: DictConfig, overrides: list[str]) -> None:
    """Gives every job of a multirun these overrides too."""
    with read_write(config), open_dict(config):
        config.hydra.overrides.task.extend(overrides)


@contextmanager
def handed_on() -> Iterator[None]:
    """Has an error leave a Hydra callback, where it would only be warned of."""
    try:
        yield
    except Exception as error:
        raise Abort(error) from error


def loader() -> Any:
    """What composes configurations for the command that runs."""
    return GlobalHydra.instance().config_loader()


def finish() -> int:
    """Ends the command: of a multirun the table of its cells; 1 if anything failed."""
    current = SweepCallback.current
    if current is None:
        return job.exit_status()
    outcomes = outcomes_in(current.folder)
    if current.conclude:
        current.conclude()
    else:
        print_cells(outcomes)
        current.keep_cells(outcomes)
    failed = any(outcome.status == "failed" for outcome in outcomes)
    SweepCallback.current = None  # it ends now, whatever comes between
    current.end("FAILED" if failed else "FINISHED")
    return int(failed)


def abandon(status: str) -> None:
    """Ends the parent run of a multirun that did not come to its end."""
    if current := SweepCallback.current:
        SweepCallback.current = None
        with log_trouble():
            current.end(status)


def outcomes_in(folder: Path) -> list[Outcome]:
    """How the jobs below a multirun's folder ended, whatever hydra.sweep.subdir calls theirs."""
    folders = {path.parent for name in (".hydra", RESULT) for path in folder.rglob(name)}
    outcomes = [read_outcome(path) for path in folders]
    return sorted(outcomes, key=lambda outcome: (outcome.number, outcome.folder))


def varying_keys(cfg: DictConfig, overrides: list[str]) -> list[str]:
    """The keys a sweep goes over, those of `hydra.sweeper.params` first."""
    params = list(presets.params(cfg))
    parsed = OverridesParser.create().parse_overrides(overrides)
    return params + [entry.get_key_element() for entry in parsed if entry.is_sweep_override()]


def print_cells(outcomes: list[Outcome]) -> None:
    """A row a cell: what it was, how it ended, its objective and minutes; errors below."""
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
