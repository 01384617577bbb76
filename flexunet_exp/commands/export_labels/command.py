"""flexunet export-labels: masks of a data set, or predicted ones, as an annotation tool's files."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from flexunet_exp.errors import InputError
from flexunet_exp.jobs import app
from flexunet_exp.system import new_folder

if TYPE_CHECKING:
    from flexunet_exp.commands.export_labels.reading import Labels

log = logging.getLogger(__name__)


def main() -> None:
    """The command."""
    app.run_app("export_labels", task)


def task(cfg: DictConfig) -> None:
    """Reads or predicts all masks and writes them; InputError with every problem."""
    from flexunet_exp.commands.export_labels import settings

    settings.check(cfg)
    output = Path(cfg.output).expanduser().resolve()
    new_folder.check_new(output)
    with TemporaryDirectory() as scratch, new_folder.staged_for(output) as staged:
        labels = labels_of(cfg, output, Path(scratch))
        lost = written(labels, cfg.format, staged)
    log.info("Made: %s", output)
    log.info("Read it again  flexunet import input=%s output=SET", output)
    if lost:
        log.warning("%d pixels are not as in the masks: %s has polygons alone", lost, cfg.format)
    if labels.refused:
        raise InputError(labels.refused)


def labels_of(cfg: DictConfig, output: Path, scratch: Path) -> Labels:
    """The masks that the settings name; a run that is fetched from the store lies in `scratch`."""
    from flexunet_exp.commands.export_labels import predicting, reading, settings

    if cfg.run:
        return predicting.of_runs(cfg, output, scratch)
    labels = reading.of_folder(Path(cfg.input)) if cfg.input else reading.of_config(cfg)
    settings.check_outside(labels.samples, output)
    return labels


def written(labels: Labels, kind: str, folder: Path) -> int:
    """Writes all pictures and labels; the pixels that differ from the masks.

    Raises InputError where all pictures are refused.
    """
    from flexunet_exp.data.annotations.writing import WRITERS
    from flexunet_exp.system import interrupt, progress

    writer = WRITERS[kind](folder, labels.classes)
    lost = done = 0
    with progress.displayed(len(labels.samples)) as show:
        for done, (sample, mask) in enumerate(labels.masks, 1):
            interrupt.check()
            lost += writer.add(sample, mask)
            show(done)
    if not done:
        raise InputError(labels.refused)
    writer.close()
    log.info("%d pictures of %d classes", done, len(labels.classes))
    if writer.ignores:
        log.info("Ignored pixels (255) are in the labels, as a label of their own or as 255")
    return lost
