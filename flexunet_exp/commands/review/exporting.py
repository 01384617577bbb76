"""Writes the doubtful pictures with the proposed shapes as an annotation tool's files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from flexunet_exp.commands.review.predicting import Reviewed
from flexunet_exp.data.annotations.records import Class
from flexunet_exp.data.annotations.writing import WRITERS, Sample
from flexunet_exp.labels.doubts import Doubt, mended

log = logging.getLogger(__name__)


def write(reviewed: Reviewed, doubts: Sequence[Doubt], kind: str, folder: Path) -> None:
    """Writes the pictures of the doubts, with their truth as the doubts propose it."""
    numbers = {one.picture for one in doubts}
    if not numbers:
        log.warning("No label is doubted or ticked, so there is nothing to export.")
        return
    writer = WRITERS[kind](folder, [Class(name) for name in reviewed.classes[1:]])
    lost = []
    for look in reviewed.looks(numbers):
        own = [one for one in doubts if one.picture == look.number]
        sample = Sample(Path(look.sample.image), reviewed.names[look.number], "")
        found = mended(look.truth, look.mask, own)
        writer.add(sample, found.labels)
        lost += found.left_out
    writer.close()
    warn_of(lost, len(doubts), reviewed.names)
    log.info("To be corrected %s (%d pictures)", folder, len(numbers))


def warn_of(lost: Sequence[Doubt], number: int, names: Sequence[str]) -> None:
    """Warns of doubts, of a `number`, that an export leaves out."""
    if lost:
        log.warning(
            "%d of %d doubts are not drawn, the first of picture %s: their region is neither in "
            "the labels nor in the prediction. Give the predict.* of the call that wrote "
            "review.csv, or review again if the labels have changed.",
            len(lost),
            number,
            names[lost[0].picture],
        )
