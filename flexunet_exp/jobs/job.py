"""Runs a job: writes its outcome to disk, logs its errors as messages, never ends the process."""

from __future__ import annotations

import logging
import math
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from flexunet_exp.errors import InputError, Pruned
from flexunet_exp.jobs.explain import explain
from flexunet_exp.runs.outcome import RESULT, TRACE, Outcome, is_taken, keep_outcome

log = logging.getLogger(__name__)

ENDED: list[Outcome] = []  # the jobs of this process, oldest first


class Home:
    """Where a job's files go: the folder Hydra made for it, or that of the run it continues."""

    def __init__(self) -> None:
        self.folder = self.given = Path(HydraConfig.get().runtime.output_dir)
        self.is_ours = True  # False for the folder of another run, where nothing may be written

    def move_to(self, folder: Path) -> None:
        """Moves the job and its log file to another folder.

        Only files that Hydra just made are removed: hydra.run.dir can name any folder. A cell of a
        sweep keeps its folder among the others, for the table at the end.
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
            with suppress(OSError):  # it is not empty
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
        """The folders that get the outcome of the job."""
        if not self.is_ours:
            return []
        return list(dict.fromkeys([self.folder, self.given] if in_multirun() else [self.folder]))


@contextmanager
def writing_to(output: Path) -> Iterator[None]:
    """Logs how to go on after an interrupt; raises InputError if the disk is full or read-only."""
    try:
        yield
    except KeyboardInterrupt:
        log.info("What is done so far is in %s; the same command goes on from there.", output)
        raise
    except OSError as error:
        raise InputError(
            f"{error.filename or output}: {error.strerror}. Fix this and give the same command "
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

    A failure is logged and written (error.txt has the stack trace) but not raised: a sweep goes on.
    Only Ctrl-C is raised, because it ends the whole sweep. Work that `goes_on` may start in the
    folder of an unfinished run.
    """
    home = Home()
    started = time.time()
    if is_taken(home.folder, goes_on):
        where = home.folder
        error = f"{where} holds a run already. Choose another folder with hydra.run.dir=FOLDER"
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
        explanation = explain(error, HydraConfig.get().job.name)
        outcome = Outcome("failed", name, folder=str(home.folder), error=explanation)
        log.error("Failed: %s", outcome.error)
        if home.is_ours and not isinstance(error, InputError):
            keep_trace(home.folder)
    write_outcome(home, outcome, started)
    ENDED.append(outcome)
    return outcome.objective


def exit_status() -> int:
    """0, or 1 when a job of this process failed."""
    return int(any(outcome.status == "failed" for outcome in ENDED))


def keep_trace(folder: Path) -> None:
    try:
        (folder / TRACE).write_text(traceback.format_exc())
        log.error("The stack trace is in %s", folder / TRACE)
    except OSError as error:
        log.error("The stack trace could not be written: %s", error)


def write_outcome(home: Home, outcome: Outcome, started: float) -> None:
    outcome.minutes = round((time.time() - started) / 60, 3)
    outcome.number = cell_number()
    for folder in home.folders():
        keep_outcome(folder, outcome)


def cell_number() -> int:
    """The number of this job in its sweep; 0 outside of one, where Hydra has none."""
    settings = HydraConfig.get().job
    return 0 if OmegaConf.is_missing(settings, "num") else settings.num
