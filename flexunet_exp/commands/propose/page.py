"""proposal.html: the proposed pictures on one page that needs no other file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from flexunet_exp.commands.propose import proposal as words
from flexunet_exp.commands.propose.judging import Judged
from flexunet_exp.commands.propose.proposal import Proposal
from flexunet_exp.labels.compared import Box
from flexunet_exp.labels.unsure import MOST_PLACES
from flexunet_exp.prediction.networks import TrainedNetworks
from flexunet_exp.prediction.predictor import Ensemble
from flexunet_exp.reporting import panels
from flexunet_exp.reporting.html import jpeg, legend, template
from flexunet_exp.system.files import replace_file

SIDE = 300  # pixels of a picture on the page, at the most
GAP = 6
FRAME, RIM = (255, 255, 255), (0, 0, 0)


def write(
    path: Path,
    proposal: Proposal,
    images: Mapping[Path, str],
    trained: TrainedNetworks,
    facts: Mapping[str, str],
) -> None:
    """Writes the page; `images` holds the drawn picture of each file as a data address.

    `facts` say what it is about.
    """
    rows = [
        {
            "rank": one.rank,
            "name": words.shown(one.judged.picture.file),
            "image": images[one.judged.picture.path],
            "score": f"{one.choice.score:.2f}",
            "regions": words.regions(one.judged, trained.class_names),
            "reason": one.reason,
        }
        for one in proposal.pictures
    ]
    report = proposal.report
    text = template("proposal.html").render(
        title="Pictures to label next",
        facts=facts,
        classes=legend(trained.class_names, trained.palette),
        is_one=not isinstance(trained.predictor, Ensemble),
        rows=rows,
        pictures=report.done,
        copies_of_labelled=len(report.copied),
        copies=len(proposal.chosen.copies),
        refused=len(report.refused),
    )
    replace_file(path, text.encode())


def drawn(image: np.ndarray, one: Judged, trained: TrainedNetworks) -> str:
    """The picture beside its prediction, with frames around the places it is judged by."""
    tile = panels.tile(image, SIDE)
    marked = panels.marked_tile(image, one.mask, trained.palette, SIDE).copy()
    for place in one.places[:MOST_PLACES]:
        first, last = corners(place.box, len(tile) / len(image), marked.shape[:2])
        cv2.rectangle(marked, first, last, RIM, 3)
        cv2.rectangle(marked, first, last, FRAME, 1)
    gap = np.full((len(tile), GAP, 3), 255, np.uint8)
    return jpeg(Image.fromarray(np.ascontiguousarray(np.hstack([tile, gap, marked]))))


def corners(box: Box, scale: float, size: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """The first and the last pixel (x, y) of a frame around a box, in a tile of (height, width)."""
    first = max(1, round(box.left * scale) - 3), max(1, round(box.top * scale) - 3)
    right, bottom = (box.left + box.width) * scale, (box.top + box.height) * scale
    return first, (min(size[1] - 2, round(right) + 2), min(size[0] - 2, round(bottom) + 2))
