"""flexunet export-labels: the masks of a data set as the files of an annotation tool."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from flexunet_exp.jobs import app

if TYPE_CHECKING:
    from flexunet_exp.commands.export_labels.reading import Truths

log = logging.getLogger(__name__)


def main() -> None:
    """The command."""
    app.run_app("export_labels", task)


def task(cfg: DictConfig) -> None:
    """Reads all masks and writes them; InputError with every problem."""
    from flexunet_exp.commands.export_labels import reading, settings

    settings.check(cfg)
    output = Path(cfg.output).expanduser().resolve()
    settings.check_new(output)
    truths = reading.of_folder(Path(cfg.input)) if cfg.input else reading.of_config(cfg)
    settings.check_outside(truths.files, output)
    staged = output.with_name(f".{output.name}.writing")
    shutil.rmtree(staged, ignore_errors=True)
    try:
        lost = written(truths, cfg.format, staged)
        if output.is_dir():
            output.rmdir()
        os.rename(staged, output)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    log.info("Made: %s", output)
    log.info("Read it again  flexunet import input=%s output=SET", output)
    if lost:
        log.warning("%d pixels are not as in the masks: %s has polygons alone", lost, cfg.format)


def written(truths: Truths, kind: str, folder: Path) -> int:
    """Writes all pictures and labels; the pixels that differ from the masks."""
    from flexunet_exp.data.annotations.writing import WRITERS
    from flexunet_exp.system import interrupt, progress

    writer = WRITERS[kind](folder, truths.classes)
    lost = 0
    with progress.displayed(len(truths.samples)) as show:
        for done, (sample, read) in enumerate(truths.samples, 1):
            interrupt.check()
            lost += writer.add(sample, read())
            show(done)
    writer.close()
    log.info("%d pictures of %d classes", len(truths.samples), len(truths.classes))
    if writer.ignores:
        log.info("Ignored pixels (255) are in the labels, as a label of their own or as 255")
    return lost
