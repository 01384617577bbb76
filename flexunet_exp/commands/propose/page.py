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
from flexunet_exp.labels.unsure import MOST_PLACES
from flexunet_exp.prediction.networks import TrainedNetworks
from flexunet_exp.reporting import panels
from flexunet_exp.reporting.html import jpeg, template
from flexunet_exp.system.files import replace_file

SIDE = 300  # pixels of a picture on the page, at the most
GAP = 6
FRAME, RIM = (255, 255, 255), (0, 0, 0)


def write(
    path: Path, proposal: Proposal, images: Mapping[Path, str], classes: tuple[str, ...]
) -> None:
    """Writes the page; `images` holds the drawn picture of each file as a data address."""
    rows = [
        {
            "rank": one.rank,
            "name": words.shown(one.judged.picture.file),
            "image": images[one.judged.picture.path],
            "score": f"{one.choice.score:.2f}",
            "regions": words.regions(one.judged, classes),
            "reason": one.reason,
        }
        for one in proposal.pictures
    ]
    report = proposal.report
    text = template("proposal.html").render(
        title="Pictures to label next",
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
    scale = len(tile) / len(image)
    for place in one.places[:MOST_PLACES]:
        first = round(place.box.left * scale) - 3, round(place.box.top * scale) - 3
        last = (
            round((place.box.left + place.box.width) * scale) + 2,
            round((place.box.top + place.box.height) * scale) + 2,
        )
        cv2.rectangle(marked, first, last, RIM, 3)
        cv2.rectangle(marked, first, last, FRAME, 1)
    gap = np.full((len(tile), GAP, 3), 255, np.uint8)
    return jpeg(Image.fromarray(np.ascontiguousarray(np.hstack([tile, gap, marked]))))
