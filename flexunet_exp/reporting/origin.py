"""What a page is about: the data set, the runs, the command and the date."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from flexunet_exp.config.overrides import shell, task_overrides
from flexunet_exp.runs.folder import MOVING, FinishedRun


def facts(command: str, runs: Sequence[FinishedRun]) -> dict[str, str]:
    """The facts below a page's title: label → text."""
    words = [one.as_typed() for one in task_overrides()]
    return {
        "data set": ", ".join(dict.fromkeys(str(run.cfg.dataset.name) for run in runs)),
        "run": typed_run(runs),
        "command": shell(["flexunet", command, *words]),
        "date": datetime.now().astimezone().isoformat(" ", "minutes"),
    }


def moves(name: str) -> bool:
    """Whether another run has the name after the next training or promotion."""
    return name.strip() in MOVING or "@" in name


def typed_run(runs: Sequence[FinishedRun]) -> str:
    """What `run=` takes to name these runs again: as it was typed, if that means them for good."""
    typed = [one.as_typed().value or "" for one in task_overrides() if one.key == "run"]
    if typed and not any(map(moves, typed[-1].strip("[]").split(","))):
        return typed[-1]
    return ",".join(run.run_id or str(run.folder) for run in runs)
