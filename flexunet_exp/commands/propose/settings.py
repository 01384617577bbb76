"""The settings of flexunet propose: checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path, PurePosixPath

from omegaconf import DictConfig

from flexunet_exp.config import validation
from flexunet_exp.data.find_pictures import Found
from flexunet_exp.errors import InputError


def check(cfg: DictConfig) -> None:
    """Raises InputError with every problem of the command's own settings, then of `predict.*`."""
    if problems := validation.own_problems(cfg, "propose"):
        raise InputError(problems)
    validation.check_sections(cfg, ("predict",))


def output_of(cfg: DictConfig) -> Path:
    """The output folder, absolute; without `output`, a new one below ./outputs."""
    if cfg.output is not None:
        return Path(cfg.output).expanduser().resolve()
    now = datetime.now()
    return Path(f"outputs/{now:%Y-%m-%d}/{now:%H-%M-%S-%f}_propose").absolute()


def check_outside(found: Iterable[Found], output: Path) -> None:
    """Raises InputError where the output lies in a folder of the input."""
    for folder in dict.fromkeys(map(folder_of, found)):
        check_apart(output, folder, "the input")


def check_apart(output: Path, folder: Path, what: str) -> None:
    """Raises InputError where the output lies in a folder, or is it."""
    folder = folder.resolve()
    if output == folder or folder in output.parents:
        raise InputError(
            f"output={output} lies in {folder}, where {what} is, and nothing is written there. "
            "Choose a folder elsewhere: output=FOLDER"
        )


def folder_of(hit: Found) -> Path:
    """The folder in which a picture was found: that of the input, or that of a single file."""
    return hit.path.parents[len(PurePosixPath(hit.relative).parts) - 1]
