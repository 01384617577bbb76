"""flexunet prepare: raw MVTec AD → an image/mask data set, split by source, augmented offline."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from flexunet_exp.jobs import app, job

if TYPE_CHECKING:
    from flexunet_exp.data.sets.staging import Stage

log = logging.getLogger(__name__)


def main() -> None:
    """The command."""
    app.run_app("prepare", task)


def task(cfg: DictConfig) -> None:
    """Scans, splits, augments and writes; InputError with every problem."""
    from flexunet_exp.commands.prepare import settings
    from flexunet_exp.commands.prepare.rows import PREPARED
    from flexunet_exp.data.sets import staging

    settings.check(cfg)
    source, output = settings.folder(cfg.input or cfg.dataset.path), settings.folder(cfg.output)
    settings.check_apart(source, output)
    with (
        job.writing_to(staging.staging_of(output)),
        staging.opened(output, PREPARED, settings.made_of(cfg, source)) as stage,
    ):
        prepare(cfg, source, stage)
    log.info("%s %s", "It was made already:" if stage.finished else "Made:", output)
    log_next_commands(cfg, output)


def prepare(cfg: DictConfig, source: Path, stage: Stage) -> None:
    from flexunet_exp.commands.prepare import archive, pipeline, summary

    log.info("Data: %s", source)
    if stage.finished and source.is_file():
        stage.begin(stage.finished["data"])  # the settings name the archive
        return
    raw = archive.folder_of(source, cfg.dataset.name, stage.unpacked)
    dataset = pipeline.load(cfg, raw)
    stage.begin(dataset.digest)
    if not stage.finished:
        pictures = pipeline.make(cfg, dataset, raw, stage)
        pipeline.refuse_leaks(pictures)
        pipeline.warn_of_lost(pictures)
        summary.write(stage, pictures, dataset)
        stage.publish()
        log.info(pipeline.sentence(pictures))


def log_next_commands(cfg: DictConfig, output: Path) -> None:
    words = f"dataset={cfg.dataset.name} dataset/layout=image_mask"
    place = shlex.quote(f"dataset.path={output}")
    log.info("Check it     flexunet check %s %s", words, place)
    log.info("Train on it  flexunet train %s %s", words, place)
