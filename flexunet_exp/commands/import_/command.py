"""flexunet import: the export of an annotation tool, or a public data set → an image/mask set."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from flexunet_exp.errors import InputError
from flexunet_exp.jobs import app, job

if TYPE_CHECKING:
    from flexunet_exp.data.sets.staging import Stage

log = logging.getLogger(__name__)


def main() -> None:
    """The command."""
    app.run_app("import", task)


def task(cfg: DictConfig) -> None:
    """Reads, draws and writes; InputError with every problem."""
    from flexunet_exp.commands.import_ import dataset_yaml, settings
    from flexunet_exp.commands.import_.rows import IMPORTED
    from flexunet_exp.data.annotations.choosing import chosen
    from flexunet_exp.data.annotations.place import Place
    from flexunet_exp.data.sets import staging

    settings.check(cfg)
    output = Path(cfg.output).expanduser().resolve()
    name = name_of(cfg, output)
    dataset_yaml.check(name, output)
    images = Path(cfg.images) if cfg.images else None
    place = Place(Path(cfg.input), images, settings.of_format(cfg))
    settings.check_apart(place.root, output)
    kind, reader = chosen(cfg.format, settings.formats(), place)
    log.info("Format: %s, in %s", reader.title, place.given)
    with (
        job.writing_to(staging.staging_of(output)),
        staging.opened(output, IMPORTED, settings.made_of(cfg, kind)) as stage,
    ):
        losses = imported(cfg, reader, place, stage)
    file = dataset_yaml.write(name, output)
    log.info("%s %s", "It was made already:" if stage.finished else "Made:", output)
    log.info("Its configuration: %s", file)
    log.info("Check it     flexunet check dataset=%s", name)
    log.info("Train on it  flexunet train dataset=%s", name)
    if losses and cfg.strict:
        raise InputError(f"strict=true: {losses} objects are not, or not fully, in the masks.")


def name_of(cfg: DictConfig, output: Path) -> str:
    name = str(cfg.name or re.sub(r"\W+", "_", output.name.lower()).strip("_"))
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise InputError(
            f"name={name!r}: expected letters, digits, _ and -, a letter first, as in name=bolt"
        )
    return name


def imported(cfg: DictConfig, reader, place, stage: Stage) -> int:
    """Makes the set unless it is there; the number of objects that were lost."""
    from flexunet_exp.commands.import_ import pipeline, report, summary

    plan = pipeline.plan(cfg, reader, place)
    stage.begin(plan.digest)
    if stage.finished:
        return report.lost(summary.rows_of(stage.output))
    pictures = pipeline.make(plan, stage, cfg.workers)
    report.log_counts(plan, pictures)
    summary.write(stage, plan, pictures)
    stage.publish()
    return report.lost(pictures)
