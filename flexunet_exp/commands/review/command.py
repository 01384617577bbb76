"""flexunet review: finds labels that are probably wrong, or reads what a person answered."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from flexunet_exp.config import validation
from flexunet_exp.errors import InputError
from flexunet_exp.jobs import app, job
from flexunet_exp.runs import outcome
from flexunet_exp.tracking import find_runs, record
from flexunet_exp.tracking.settings import TrackingSettings

if TYPE_CHECKING:
    from flexunet_exp.commands.review.predicting import Reviewed
    from flexunet_exp.labels.doubts import Found
    from flexunet_exp.labels.review_file import Row

log = logging.getLogger(__name__)

TABLE = "review.csv"


def main() -> int:
    """The command."""
    app.run_app("review", task)
    return job.exit_status()


def task(cfg: DictConfig) -> float:
    return job.supervised(cfg, "review", review)


def review(cfg: DictConfig, home: job.Home) -> outcome.Outcome:
    """Writes the table and the page of doubts, or reads the answers; exports what is asked for."""
    if problems := validation.own_problems(cfg, "review"):
        raise InputError(problems)
    validation.check_sections(cfg, ("predict",))
    with TemporaryDirectory() as scratch:
        runs = find_runs.find_all(cfg, Path(scratch))
        from flexunet_exp.commands.review import exporting, predicting

        reviewed = predicting.reviewed(runs, cfg.predict, Path(scratch) / "masks")
        (results := home.folder / "review").mkdir()
        make = shown if cfg.answers is None else answered
        doubts = make(cfg, reviewed, results)
        record.add_results(TrackingSettings.from_config(cfg), runs, results, "review")
        if cfg.export is not None:
            exporting.write(reviewed, doubts, cfg.export, results / cfg.export)
    return outcome.Outcome("finished", "review", folder=str(home.folder))


def shown(cfg: DictConfig, reviewed: Reviewed, results: Path) -> list:
    """Predicts, ranks and writes the doubts; those that are written."""
    from flexunet_exp.commands.review import page
    from flexunet_exp.labels import doubts, review_file
    from flexunet_exp.system.files import replace_file

    found = doubts.find(reviewed.compared(), len(reviewed.classes))
    kept = found.doubts[: cfg.most]
    text = review_file.text(kept, reviewed.names, reviewed.classes)
    replace_file(results / TABLE, text.encode())
    page.write(results / page.PAGE, reviewed, found._replace(doubts=kept), text)
    log.info("%s", sentence(found, cfg.most))
    log.info("Table          %s", results / TABLE)
    log.info("Page           %s", results / page.PAGE)
    log.info("Tick there which labels are wrong, save, and give answers=review.csv export=labelme")
    return kept


def answered(cfg: DictConfig, reviewed: Reviewed, results: Path) -> list:
    """Reads the answers, says how good the doubts were, and keeps the table; the ticked doubts."""
    from flexunet_exp.labels import review_file

    path = Path(cfg.answers).expanduser()
    rows = review_file.read(path, reviewed.names, reviewed.classes)
    tell(rows)
    shutil.copyfile(path, results / TABLE)
    return [row.doubt for row in rows if row.is_wrong]


def sentence(found: Found, most: int) -> str:
    """How many doubts of each kind there are, and how many labels are expected to be wrong."""
    from flexunet_exp.labels.doubts import KINDS

    counts = Counter(one.kind for one in found.doubts)
    kinds = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)
    expected = sum(one.probability for one in found.doubts[:most])
    shown = min(most, len(found.doubts))
    return (
        f"{len(found.doubts)} labels are doubted ({kinds}). Of the first {shown}, about "
        f"{expected:.0f} are expected to be wrong."
    )


def tell(rows: Sequence[Row]) -> None:
    """Logs how many doubts of each kind were right, beside what was expected."""
    from flexunet_exp.labels.doubts import KINDS

    for kind in KINDS:
        if of_kind := [row for row in rows if row.doubt.kind == kind]:
            log.info(
                "%-8s %d of %d ticked as wrong; %.1f expected.",
                kind,
                sum(row.is_wrong for row in of_kind),
                len(of_kind),
                sum(row.doubt.probability for row in of_kind),
            )
