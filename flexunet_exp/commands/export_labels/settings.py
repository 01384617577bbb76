"""The settings of flexunet export-labels: checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from omegaconf import DictConfig

from flexunet_exp.config import validation
from flexunet_exp.errors import InputError


def check(cfg: DictConfig) -> None:
    """Raises InputError with every problem of the settings."""
    validation.check_command(cfg, "export_labels")
    if cfg.input is None:
        validation.check_targets(cfg, ("dataset", "split"))


def check_new(output: Path) -> None:
    """Raises InputError where the output is there already, and not an empty folder."""
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise InputError(f"output={output}: is there already. Choose a new folder, or empty it")


def check_outside(files: Iterable[Path], output: Path) -> None:
    """Raises InputError where the output lies beside the pictures that are read."""
    for file in files:
        if output in file.parents or output.parent == file.parent:
            raise InputError(f"output={output}: among the pictures of the set. Choose another")
