"""What surrounds a job: its outcome on disk, its errors in words, and never an exit of its own."""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log, setup_globals
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config import compose
from flexunet_exp.errors import Abort, Enough, InputError, Pruned
from flexunet_exp.jobs.explain import explain
from flexunet_exp.runs import claims
from flexunet_exp.system import interrupt

log = logging.getLogger(__name__)

RESULT = "result.json"
SECONDS_TO_END = 5.0  # that an interrupted run has to tell the store, when nobody waits for it
ENDED: list[Outcome] = []  # the jobs of this process, oldest first


def run_app(config_name: str, work: Callable[[DictConfig], Any]) -> None:
    """Composes `config_name`.yaml with the command line and hands it to `work`, in each job.

    An error of `work` is raised here as it was, without Hydra's words around it.
    """
    raised: list[Exception] = []

    def task(cfg: DictConfig) -> Any:
        end_with_parent()
        interrupt.check()  # a launcher's worker is handed its next job even then
        try:
            return work(cfg)
        except Exception as error:
            raised.append(error)

    compose.register_resolvers()
    app = hydra.main(
        version_base="1.3", config_path=str(compose.conf_dir()), config_name=config_name
    )
    try:
        app(task)()
    except Enough:
        return
    except Abort as abort:
        raise abort.error from None
    if raised:
        raise raised[0]


@dataclass
class Outcome:
    """How a job ended: `status` is finished, skipped, failed, pruned or killed."""

    status: str
    name: str = ""
    objective: float = math.nan
    run_id: str | None = None
    folder: str = ""
    error: str = ""
    minutes: float = 0.0
    number: int = 0  # of the cell in its sweep


class Home:
    """Where a job's files go: the folder Hydra made for it, or that of the run it continues."""

    def __init__(self) -> None:
        self.folder = self.given = Path(HydraConfig.get().runtime.output_dir)
        self.is_ours = True  # not the folder of another run, in which nothing may be written

    def move_to(self, folder: Path) -> None:
        """Goes on in another folder, its log file too.

        What Hydra just made is removed, and nothing else: hydra.run.dir can name any folder. A cell
        of a sweep keeps its place among the others, for the table at the end.
        """
        if folder == self.given:
            return
        self.folder, self.is_ours = folder, True
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.FileHandler):
                self.move_log(handler)
        if not in_multirun():
            self.remove_given()

    def remove_given(self) -> None:
        if subdir := HydraConfig.get().output_subdir:
            for name in ("config.yaml", "hydra.yaml", "overrides.yaml"):
                (self.given / subdir / name).unlink(missing_ok=True)
        for folder in (self.given / (subdir or ""), self.given):
            with suppress(OSError):  # there is something else in it
                folder.rmdir()

    def move_log(self, handler: logging.FileHandler) -> None:
        path = Path(handler.baseFilename)
        if path.parent != self.given:
            return
        handler.close()
        handler.baseFilename = str(self.folder / path.name)
        if not in_multirun() and not (self.given / RESULT).exists():
            path.unlink(missing_ok=True)

    def folders(self) -> list[Path]:
        """Those that are to say how the job ended."""
        if not self.is_ours:
            return []
        return list(dict.fromkeys([self.folder, self.given] if in_multirun() else [self.folder]))


@contextmanager
def writing_to(output: Path) -> Iterator[None]:
    """Says of an interrupt, and of a disk that is full or closed to us, how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        log.info("What is done so far is in %s; the same command goes on from there.", output)
        raise
    except OSError as error:
        raise InputError(
            f"{error.filename or output}: {error.strerror}. Mend this and give the same command "
            "again, which does what is missing; or choose another output=FOLDER."
        ) from error


def in_multirun() -> bool:
    return HydraConfig.get().mode == RunMode.MULTIRUN


def supervised(
    cfg: DictConfig,
    name: str,
    work: Callable[[DictConfig, Home], Outcome],
    goes_on: bool = False,
) -> float:
    """Runs a job and writes how it ended to result.json; returns its objective, NaN if it failed.

    A failure is said and kept (error.txt has the trace) but not raised: a sweep goes on. Only
    Ctrl-C is, because it means all of them. Work that `goes_on` may be given the folder of an
    unfinished run.
    """
    home = Home()
    started = time.time()
    if holds_run(home.folder) or (not goes_on and claims.is_marked(home.folder)):
        where = home.folder
        error = f"{where} holds a run already. Nothing was changed in it; choose another folder."
        log.error("Failed: %s", error)
        ENDED.append(Outcome("failed", name, folder=str(where), error=error))
        return math.nan
    try:
        outcome = work(cfg, home)
    except KeyboardInterrupt:
        write_outcome(home, Outcome("killed", name, folder=str(home.folder)), started)
        log.info("Interrupted: what was made so far is in %s", home.folder)
        if goes_on:
            log.info("The same command goes on from there.")
        raise
    except Pruned as pruned:
        log.info("%s. It is not scored.", str(pruned).capitalize())
        outcome = Outcome("pruned", name, folder=str(home.folder))
    except (Exception, SystemExit) as error:
        said = explain(error, HydraConfig.get().job.name)
        outcome = Outcome("failed", name, folder=str(home.folder), error=said)
        log.error("Failed: %s", outcome.error)
        if home.is_ours and not isinstance(error, InputError):
            keep_trace(home.folder)
    write_outcome(home, outcome, started)
    ENDED.append(outcome)
    return outcome.objective


def in_own_process(task: Callable[[DictConfig], float], cfg: DictConfig) -> float:
    """Runs a job in a new process, for what this one cannot change any more; its objective.

    `task` is a function of a module, which calls `supervised`.
    """
    folder = Path(HydraConfig.get().runtime.output_dir)
    hydra_node = OmegaConf.create({"hydra": HydraConfig.get()})
    process = get_context("spawn").Process(target=take_over, args=(task, cfg, hydra_node))
    process.start()
    try:
        process.join()
    except KeyboardInterrupt:
        process.join(5)  # on a terminal it was interrupted too
        process.terminate()
        process.join()
        raise
    outcome = read_outcome(folder)
    ENDED.append(outcome)
    return outcome.objective


def take_over(task: Callable[[DictConfig], float], cfg: DictConfig, hydra_node: Any) -> None:
    """What the new process does: sets up what Hydra would have, and runs the job."""
    end_with_parent()
    setup_globals()
    compose.register_resolvers()
    HydraConfig.instance().set_config(hydra_node)
    configure_log(hydra_node.hydra.job_logging, hydra_node.hydra.verbose)
    try:
        task(cfg)
    except KeyboardInterrupt:
        sys.exit(130)


@cache  # one watch a process, whatever the number of its jobs
def end_with_parent() -> None:
    """Has a process that was started to run jobs end when the one that started it is gone.

    A launcher's workers would else train all they were handed, beside the same command begun again.
    """
    if starter := parent_process():
        interrupt.listen()
        Thread(target=end_after, args=(starter.pid,), daemon=True).start()


def end_after(starter: int) -> None:
    """Interrupts this process once its parent is no longer `starter`, and ends it soon after."""
    while os.getppid() == starter:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(SECONDS_TO_END)
    # As after kill -9, the run goes on from its state; a worker would idle for minutes.
    os._exit(130)


def holds_run(folder: Path) -> bool:
    """Whether a run was made in this folder (hydra.run.dir can name any) and is not unfinished."""
    made = any((folder / name).exists() for name in (RESULT, "config.yaml", "best.keras"))
    return made and not claims.is_marked(folder)


def exit_status() -> int:
    """0, or 1 when a job of this process failed."""
    return int(any(outcome.status == "failed" for outcome in ENDED))


def keep_trace(folder: Path) -> None:
    try:
        (folder / "error.txt").write_text(traceback.format_exc())
        log.error("Its stack trace is in %s", folder / "error.txt")
    except OSError as error:
        log.error("The stack trace could not be kept: %s", error)


def write_outcome(home: Home, outcome: Outcome, started: float) -> None:
    outcome.minutes = round((time.time() - started) / 60, 3)
    outcome.number = cell_number()
    for folder in home.folders():
        keep_outcome(folder, outcome)


def keep_outcome(folder: Path, outcome: Outcome) -> None:
    try:
        (folder / RESULT).write_text(json.dumps(asdict(outcome), indent=1) + "\n")
    except OSError as error:
        log.error("The outcome could not be kept: %s", error)


def cell_number() -> int:
    """The number of this job in its sweep; 0 outside of one, where Hydra has none."""
    settings = HydraConfig.get().job
    return 0 if OmegaConf.is_missing(settings, "num") else settings.num


def read_outcome(folder: Path) -> Outcome:
    """The outcome in a job's folder; a job that left none was cut off."""
    try:
        return Outcome(**json.loads((folder / RESULT).read_text()))
    except (OSError, ValueError, TypeError):
        return Outcome("failed", name=folder.name, folder=str(folder), error="left no result.json")
