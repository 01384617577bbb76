"""The settings of flexunet export-labels: checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from omegaconf import DictConfig

from flexunet_exp.config import overrides, validation
from flexunet_exp.data.annotations.writing import Sample
from flexunet_exp.errors import InputError

OF_DATA = ("dataset", "split")


def check(cfg: DictConfig) -> None:
    """Raises InputError with every problem of the settings."""
    validation.check_command(cfg, "export_labels")
    if problems := list(misplaced(cfg)):
        raise InputError(problems)
    if cfg.run is None and cfg.input is None:
        validation.check_targets(cfg, OF_DATA)


def misplaced(cfg: DictConfig) -> Iterator[str]:
    """The problems of options that go with a run alone, or never with one."""
    if cfg.run is not None:
        for word in overrides.task_overrides():
            if word.key.replace("/", ".").split(".")[0] in OF_DATA:
                yield (
                    f"{word.as_typed()}: run={cfg.run} predicts its own test pictures, or those of "
                    f"input=PICTURES. Leave {word.key} out"
                )
        return
    if cfg.input is not None and not isinstance(cfg.input, str):
        yield "input has several folders; expected the folder of one set, or a run: run=RUN"
    if cfg.min_area != 1 or cfg.min_probability != 0:
        yield "min_area and min_probability are of predictions. Add a run: run=RUN"


def check_outside(samples: Iterable[Sample], output: Path) -> None:
    """Raises InputError where the output lies beside the pictures that are read."""
    for sample in samples:
        if output in sample.file.parents or output.parent == sample.file.parent:
            raise InputError(f"output={output}: among the pictures of the set. Choose another")
