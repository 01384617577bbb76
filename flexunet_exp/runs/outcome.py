"""The outcome of a job, on disk."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

from flexunet_exp.runs import claims

log = logging.getLogger(__name__)


RESULT = "result.json"
TRACE = "error.txt"  # the stack trace of a failure that has no explanation
NOT_ENDED = ("failed", "killed")
# What a training writes before its network is made.
GIVEN = (".hydra", "config.yaml", "provenance.json", "samples.csv", "model.txt")


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
    learned: bool = True  # False: no epoch beat predicting nothing and everything
    figures: dict[str, float] = field(default_factory=dict)  # of all classes together


def holds_run(folder: Path) -> bool:
    """Whether a run was made in this folder (hydra.run.dir can name any) and is not unfinished.

    A command that failed or was interrupted before it made anything leaves no run.
    """
    made = any((folder / name).exists() for name in (RESULT, "config.yaml", "best.keras"))
    return made and not claims.is_marked(folder) and not is_left_empty(folder)


def is_taken(folder: Path, goes_on: bool) -> bool:
    """Whether a job may not begin in a folder; to go on, it may in that of an unfinished run."""
    return holds_run(folder) or (not goes_on and claims.is_marked(folder))


def is_left_empty(folder: Path) -> bool:
    """Whether a folder holds only what a command was given, and how it ended: it made nothing."""
    names = {path.name for path in folder.iterdir() if path.suffix != ".log"}
    return names <= {RESULT, TRACE, *GIVEN} and read_outcome(folder).status in NOT_ENDED


def keep_outcome(folder: Path, outcome: Outcome) -> None:
    try:
        (folder / RESULT).write_text(json.dumps(asdict(outcome), indent=1) + "\n")
    except OSError as error:
        log.error("The outcome could not be written: %s", error)


def read_outcome(folder: Path) -> Outcome:
    """The outcome in a job's folder; `failed` where the job left none."""
    try:
        return Outcome(**json.loads((folder / RESULT).read_text()))
    except (OSError, ValueError, TypeError):
        return Outcome("failed", name=folder.name, folder=str(folder), error="left no result.json")
