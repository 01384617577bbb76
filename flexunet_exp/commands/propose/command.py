"""flexunet propose: which pictures to label next, with predictions to correct in a tool."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from flexunet_exp.errors import InputError
from flexunet_exp.jobs import app
from flexunet_exp.system import new_folder
from flexunet_exp.tracking import find_runs

if TYPE_CHECKING:
    from flexunet_exp.commands.propose.judging import Report
    from flexunet_exp.commands.propose.known import Known
    from flexunet_exp.commands.propose.proposal import Proposal
    from flexunet_exp.data.find_pictures import Found
    from flexunet_exp.prediction.networks import TrainedNetworks

log = logging.getLogger(__name__)

TABLE, PAGE = "proposal.csv", "proposal.html"
LISTED = 20  # refused pictures in the last message; proposal.csv has them all


def main() -> None:
    """The command."""
    app.run_app("propose", task)


def task(cfg: DictConfig) -> None:
    """Finds and predicts the pictures, writes the proposal; InputError with the refused ones."""
    from flexunet_exp.commands.propose import settings
    from flexunet_exp.data import find_pictures

    settings.check(cfg)
    output = settings.output_of(cfg)
    new_folder.check_new(output)
    found = find_pictures.find([cfg.input] if isinstance(cfg.input, str) else cfg.input, output)
    settings.check_outside(found, output)
    trained, known, facts = load(cfg, output)
    proposal = proposed(trained, known, found, cfg.n)
    output.parent.mkdir(parents=True, exist_ok=True)
    with new_folder.staged_for(output) as staged:
        write(staged, proposal, trained, cfg.format, facts)
    tell(proposal, output, cfg.n, cfg.format)
    if proposal.report.refused:
        raise InputError(problems(proposal.report, f", in {output / TABLE}"))


def load(cfg: DictConfig, output: Path) -> tuple[TrainedNetworks, Known, dict[str, str]]:
    """The networks of `run=`, the pictures that they were made with, and what the page is about."""
    with TemporaryDirectory() as scratch:
        runs = find_runs.find_all(cfg, Path(scratch))
        from flexunet_exp.commands.propose import known, settings
        from flexunet_exp.prediction import networks
        from flexunet_exp.reporting import origin

        networks.check_classes(runs)
        networks.prepare_process(runs[0])
        trained = networks.load(runs, cfg.predict)
        seen = known.of_runs(runs, trained.bit_depth, trained.channels)
        facts = origin.facts("propose", runs)
    for folder in {Path(file).parent for file in seen.files}:
        settings.check_apart(output, folder, "the data set of the run")
    return trained, seen, facts


def proposed(trained: TrainedNetworks, known: Known, found: Sequence[Found], most: int) -> Proposal:
    """The proposal of at most `most` pictures. Raises InputError where none can be proposed."""
    from flexunet_exp.commands.propose import judging, proposal
    from flexunet_exp.data import find_pictures

    pictures = find_pictures.named(find_pictures.of_lights(found, trained.channels), {})
    log.info("%d pictures to choose from", len(pictures))
    report = judging.judge(trained, pictures, known)
    if not report.judged:
        raise InputError(nothing_left(report))
    return proposal.propose(report, known, most)


def nothing_left(report: Report) -> list[str]:
    """Why no picture can be proposed."""
    sentences = []
    if report.copied:
        sentences.append(
            f"{len(report.copied)} of {report.done} pictures are near copies of labelled ones "
            f"({report.copied[0].picture.path} of {report.copied[0].original}), so nothing is left "
            "to propose. Give other pictures: input=FOLDER"
        )
    return sentences + problems(report)


def problems(report: Report, where: str = "") -> list[str]:
    """Why pictures were refused, the first LISTED of them; `where` says where the others are."""
    reasons = [one.reason for one in report.refused]
    rest = len(reasons) - LISTED
    return reasons[:LISTED] + [f"{rest} more{where}"] * (rest > 0)


def write(
    folder: Path,
    proposal: Proposal,
    trained: TrainedNetworks,
    kind: str,
    facts: Mapping[str, str],
) -> None:
    """Writes table, page and annotations into a folder that is made."""
    from flexunet_exp.commands.propose import page
    from flexunet_exp.commands.propose import proposal as rows
    from flexunet_exp.data import masks
    from flexunet_exp.data.annotations.writing import WRITERS, Sample
    from flexunet_exp.data.annotations.writing.naming import classes_of, distinct
    from flexunet_exp.system import interrupt

    folder.mkdir()
    paths = [one.picture.path for one in proposal.report.judged]
    names = dict(zip(paths, distinct(paths), strict=True))
    writer = WRITERS[kind](folder / kind, classes_of(trained.class_names, trained.palette))
    images, lost = {}, 0
    for one in proposal.pictures:
        interrupt.check()
        path = one.judged.picture.path
        lost += writer.add(Sample(path, names[path], ""), one.judged.mask)
        image = masks.read_image(path, trained.bit_depth, trained.channels)
        images[path] = page.drawn(image, one.judged, trained)
    writer.close()
    rows.write(folder / TABLE, proposal, names, trained.class_names)
    page.write(folder / PAGE, proposal, images, trained, facts)
    if lost:
        log.warning("%d pixels are not as predicted: %s has polygons alone", lost, kind)


def tell(proposal: Proposal, output: Path, most: int, kind: str) -> None:
    """Logs what is proposed, what was passed over, and where it lies."""
    report = proposal.report
    number = len(proposal.pictures)
    if report.copied:
        log.info("%d are near copies of labelled pictures", len(report.copied))
    if proposal.chosen.copies:
        log.info("%d are near copies of proposed ones", len(proposal.chosen.copies))
    if number < most:
        log.warning("n=%d, but only %d pictures can be proposed: all are.", most, number)
    log.info("Proposed      %d of %d pictures", number, report.done)
    log.info("Table         %s", output / TABLE)
    log.info("Page          %s", output / PAGE)
    log.info("To correct    %s", output / kind)
    log.info("Read it again  flexunet import input=%s output=SET", output / kind)
