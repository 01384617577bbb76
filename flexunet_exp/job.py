"""What surrounds a job: its outcome on disk, its errors in words, and never an exit of its own."""

from __future__ import annotations

import json
import logging
import math
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from flexunet_exp import config
from flexunet_exp.errors import Abort, InputError
from flexunet_exp.messages import explain

log = logging.getLogger(__name__)

RESULT = "result.json"
ENDED: list[Outcome] = []  # the jobs of this process, oldest first


def run_app(config_name: str, work: Callable[[DictConfig], Any]) -> None:
    """Composes `config_name`.yaml with the command line and hands it to `work`, in each job.

    An error of `work` is raised here as it was, without Hydra's words around it.
    """
    raised: list[Exception] = []

    def task(cfg: DictConfig) -> Any:
        try:
            return work(cfg)
        except Exception as error:
            raised.append(error)

    config.register_resolvers()
    app = hydra.main(
        version_base="1.3", config_path=str(config.conf_dir()), config_name=config_name
    )
    try:
        app(task)()
    except Abort as abort:
        raise abort.error from None
    if raised:
        raise raised[0]


@dataclass
class Outcome:
    """How a job ended: `status` is finished, skipped, failed or killed."""

    status: str
    name: str = ""
    objective: float = math.nan
    run_id: str | None = None
    folder: str = ""
    error: str = ""
    minutes: float = 0.0
    number: int = 0  # of the cell in its sweep


def supervised(cfg: DictConfig, name: str, work: Callable[[DictConfig, Path], Outcome]) -> float:
    """Runs a job and writes how it ended to result.json; returns its objective, NaN if it failed.

    A failure is said and kept (error.txt has the trace) but not raised: a sweep goes on. Only
    Ctrl-C is, because it means all of them.
    """
    folder = Path(HydraConfig.get().runtime.output_dir)
    started = time.time()
    if is_taken(folder):
        error = f"{folder} holds a run already. Nothing was changed in it; choose another folder."
        log.error("Failed: %s", error)
        ENDED.append(Outcome("failed", name, folder=str(folder), error=error))
        return math.nan
    try:
        outcome = work(cfg, folder)
    except KeyboardInterrupt:
        write_outcome(folder, Outcome("killed", name, folder=str(folder)), started)
        log.info("Interrupted: what was trained so far is in %s", folder)
        raise
    except Exception as error:
        outcome = Outcome("failed", name, folder=str(folder), error=explain(error))
        log.error("Failed: %s", outcome.error)
        if not isinstance(error, InputError):
            keep_trace(folder)
    write_outcome(folder, outcome, started)
    ENDED.append(outcome)
    return outcome.objective


def is_taken(folder: Path) -> bool:
    """Whether a run was made in this folder before (hydra.run.dir can name any)."""
    return any((folder / name).exists() for name in (RESULT, "config.yaml", "best.keras"))


def exit_status() -> int:
    """0, or 1 when a job of this process failed."""
    return int(any(outcome.status == "failed" for outcome in ENDED))


def keep_trace(folder: Path) -> None:
    try:
        (folder / "error.txt").write_text(traceback.format_exc())
        log.error("Its stack trace is in %s", folder / "error.txt")
    except OSError as error:
        log.error("The stack trace could not be kept: %s", error)


def write_outcome(folder: Path, outcome: Outcome, started: float) -> None:
    outcome.minutes = round((time.time() - started) / 60, 3)
    outcome.number = cell_number()
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
