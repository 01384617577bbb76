"""review.html: the doubts on one page, with boxes to tick, that needs no other file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from flexunet_exp.commands.review.predicting import Look, Reviewed
from flexunet_exp.data.channels import shown
from flexunet_exp.labels.compared import Box
from flexunet_exp.labels.doubts import CLASS, EXTRA, MOVED, UNSEEN, Doubt, Found, expected_precision
from flexunet_exp.reporting import panels
from flexunet_exp.reporting.html import jpeg, template
from flexunet_exp.system.files import replace_file

PAGE = "review.html"
SIDE = 260  # pixels of a crop on the page
LEAST_AROUND = 24  # pixels of the picture around a region
GAP = 6


def write(path: Path, reviewed: Reviewed, found: Found, table: str) -> None:
    """Writes the page of ranked doubts; `table` is what *Save* completes with the answers."""
    crops: dict[int, str] = {}
    for look in reviewed.looks({one.picture for one in found.doubts}):
        for place, one in enumerate(found.doubts):
            if one.picture == look.number:
                crops[place] = crop(look, one.box)
    expected = expected_precision(found.doubts)
    rows = [
        {
            "crop": crops[place],
            "name": reviewed.names[one.picture],
            "kind": one.kind,
            "reason": reason(one, reviewed.classes, found.median_distance),
            "probability": f"{one.probability:.0%}",
            "expected": f"{expected[place]:.0%}",
        }
        for place, one in enumerate(found.doubts)
    ]
    text = template("review.html").render(
        title="Labels that are probably wrong",
        rows=rows,
        pictures=len(reviewed.names),
        table=table,
    )
    replace_file(path, text.encode())


def reason(one: Doubt, classes: list[str], median: float) -> str:
    """Why the label is doubted, as a sentence."""
    proposed, label = classes[one.proposed], classes[one.label]
    if one.kind == EXTRA:
        return f"The prediction has {proposed} ({one.area} px) where the label has nothing."
    if one.kind == UNSEEN:
        return f"The label has {label} ({one.area} px), and the prediction mostly background."
    if one.kind == MOVED:
        return (
            f"The label has {label} ({one.area} px), where the prediction is mostly background; it "
            f"has {proposed} of about that size {one.distance:.0f} px beside it."
        )
    if one.kind == CLASS:
        return f"The label calls {label} what the prediction calls {proposed} ({one.area} px)."
    return (
        f"The outline of {label} is {one.distance:.1f} px from the predicted one; the median of "
        f"all defects is {median:.1f} px."
    )


def crop(look: Look, box: Box) -> str:
    """Picture, label and prediction around a region, side by side, as a data address."""
    image = shown(look.dataset.read_image(look.sample))
    window = around(box, image.shape[:2])
    sides = [image, *(panels.overlay(image, mask, look.dataset.palette, 0.35)
                      for mask in (look.truth, look.mask))]  # fmt: skip
    tiles = [fitted(framed(side, box)[window]) for side in sides]
    gap = np.full((tiles[0].shape[0], GAP, 3), 255, np.uint8)
    joined = np.concatenate([tiles[0], gap, tiles[1], gap, tiles[2]], axis=1)
    return jpeg(Image.fromarray(joined))


def around(box: Box, size: tuple[int, ...]) -> tuple[slice, slice]:
    """A square window around a box, as far as the picture (height, width) goes."""
    side = max(box.width, box.height)
    half = side // 2 + max(LEAST_AROUND, side // 2)
    x, y = box.left + box.width // 2, box.top + box.height // 2
    rows = slice(max(0, y - half), min(size[0], y + half))
    return rows, slice(max(0, x - half), min(size[1], x + half))


def framed(image: np.ndarray, box: Box) -> np.ndarray:
    """The picture with a thin white frame around a box."""
    corners = (box.left - 3, box.top - 3), (box.left + box.width + 2, box.top + box.height + 2)
    thickness = max(1, max(box.width, box.height) // 150)
    return cv2.rectangle(image.copy(), *corners, (255, 255, 255), thickness)


def fitted(tile: np.ndarray) -> np.ndarray:
    """A crop whose longer side is SIDE pixels."""
    factor = SIDE / max(tile.shape[:2])
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    return cv2.resize(tile, None, fx=factor, fy=factor, interpolation=way)
