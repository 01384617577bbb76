"""Reads a finished run from its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flexunet_exp.config import validation
from flexunet_exp.errors import InputError
from flexunet_exp.runs import claims
from flexunet_exp.runs.outcome import RESULT, read_outcome

FILES = ("config.yaml", "samples.csv", "best.keras")  # what a run needs to be scored again
TEMPERATURES = "calibration.json"  # of its network; not every run has it
MOVING = ("latest", "best")  # name another run after the next training
WHAT_RUN_CAN_BE = (
    "Use a run folder, a run id from the UI, `latest`, `best`, a registered model such as "
    "models:/NAME@champion, or a .keras file."
)


@dataclass(frozen=True)
class FinishedRun:
    """A finished run, read from its folder; or a network's file without a run."""

    folder: Path
    cfg: DictConfig
    run_id: str | None = None
    network: Path = Path()  # its best network

    @property
    def is_best(self) -> bool:
        """Whether the network is the one the run ended with, not another file in its folder."""
        return self.network == self.folder / FILES[-1]

    @property
    def samples(self) -> Path:
        """The table of the pictures it was made with; a network's file has none."""
        return self.folder / "samples.csv"


def load_below(folder: Path) -> list[FinishedRun]:
    """The run in a folder, or the finished ones of the multirun it holds.

    For a skipped cell it gives the earlier run that did the cell's work. Of a multirun that was
    copied or moved, the runs are those of the copy.
    """
    if any((folder / name).exists() for name in FILES):
        refuse_unfinished(folder)
        return [load(folder)]
    cells = [path.parent for path in folder.glob(f"*/{RESULT}")]
    outcomes = [(read_outcome(cell), cell) for cell in cells]
    done = [one for one in outcomes if one[0].status in ("finished", "skipped")]
    done.sort(key=lambda one: one[0].number)
    return [
        load(Path(outcome.folder) if outcome.status == "skipped" else cell, outcome.run_id)
        for outcome, cell in done
    ] or [load(folder)]


def refuse_unfinished(folder: Path) -> None:
    """Raises InputError for a run that was cut off, whose network is that of any epoch."""
    is_ended = (folder / RESULT).is_file()
    if claims.is_marked(folder) or is_ended and read_outcome(folder).status == "killed":
        raise InputError(
            f"{folder} is a run that was cut off. Give its own command again to go on with it."
        )
    if is_ended and read_outcome(folder).status == "pruned":
        raise InputError(f"{folder} is a trial that its study ended early. {WHAT_RUN_CAN_BE}")


def load(folder: Path, run_id: str | None = None) -> FinishedRun:
    """The run in a folder; InputError naming what is missing from it or wrong in it."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder} is not a finished run: it lacks {', '.join(missing)}. {WHAT_RUN_CAN_BE}"
        )
    return FinishedRun(folder, checked_config(folder / "config.yaml"), run_id, folder / FILES[-1])


def checked_config(path: Path) -> DictConfig:
    """A run's configuration, which may come from anyone; InputError with every problem."""
    try:
        cfg = OmegaConf.load(path)
        assert isinstance(cfg, DictConfig)
        validation.check_settings(cfg)
    except InputError as error:
        raise InputError([f"{path}: {problem}" for problem in error.problems]) from error
    except (OSError, AssertionError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise InputError(f"{path} is not the configuration of a run: {error}") from error
    return cfg


def whole_folder(downloaded: Path) -> Path:
    """The folder within a registered model that holds the files of its run."""
    places = [path.parent for path in sorted(downloaded.rglob(FILES[-1]))]
    return next(iter(places), downloaded)
