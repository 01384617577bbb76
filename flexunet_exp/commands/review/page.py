"""review.html: the doubts on one page, with boxes to tick, that needs no other file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from flexunet_exp.commands.review.predicting import Look, Reviewed
from flexunet_exp.config.overrides import Word, shell, task_overrides
from flexunet_exp.data.channels import shown
from flexunet_exp.labels.compared import Box
from flexunet_exp.labels.doubts import CLASS, EXTRA, MOVED, UNSEEN, Doubt, Found, expected_precision
from flexunet_exp.reporting import origin, panels
from flexunet_exp.reporting.html import jpeg, legend, template
from flexunet_exp.system.files import replace_file

PAGE = "review.html"
SIDE = 260  # pixels of a crop on the page
LEAST_AROUND = 24  # pixels of the picture around a region
GAP = 6
ANSWERED = ("answers=review.csv", "export=labelme")
TINT = 0.25  # weight of a region's colour: what is below it must be seen to be judged
MARGIN = 4  # pixels of the page between a region and its frame


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
    runs = [run for group in reviewed.groups for run in group]
    palette = np.array([entry.color for entry in runs[0].cfg.dataset.classes], np.uint8)
    text = template("review.html").render(
        title="Labels to look at",
        facts=origin.facts("review", runs),
        command=answering(origin.typed_run(runs), [one.as_typed() for one in task_overrides()]),
        classes=legend(reviewed.classes, palette),
        key=hashlib.sha256(table.encode()).hexdigest()[:16],
        rows=rows,
        pictures=len(reviewed.names),
        table=table,
    )
    replace_file(path, text.encode())


def answering(run: str, typed: Sequence[Word]) -> str:
    """The command that reads the page's answers, with `typed` words of the one that wrote the page.

    Other predictions have other regions than the doubts, and another store other runs.
    """
    kept = [word for word in typed if word.key.split(".")[0] in ("predict", "tracking")]
    return shell(["flexunet", "review", *kept, f"run={run}", *ANSWERED])


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
    """Picture, label and prediction around a region, side by side, as a data address.

    Regions are drawn over the crop as large as it is shown, so that an outline is thin.
    """
    image = shown(look.dataset.read_image(look.sample))
    window = around(box, image.shape[:2])
    tile = fitted(image[window])
    sides = [tile]
    for mask in (look.truth, look.mask):
        small = panels.fitted_mask(np.ascontiguousarray(mask[window]), size_of(tile))
        sides.append(panels.overlay(tile, small, look.dataset.palette, TINT))
    gap = np.full((tile.shape[0], GAP, 3), 255, np.uint8)
    first, second, third = (framed(side, inside(box, window, tile)) for side in sides)
    return jpeg(Image.fromarray(np.concatenate([first, gap, second, gap, third], axis=1)))


def size_of(tile: np.ndarray) -> tuple[int, int]:
    return tile.shape[0], tile.shape[1]


def inside(box: Box, window: tuple[slice, slice], tile: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a frame around a box, in pixels of the tile of a window."""
    rows, columns = window
    scale = tile.shape[0] / (rows.stop - rows.start)
    left, top = (box.left - columns.start) * scale, (box.top - rows.start) * scale
    right, bottom = left + box.width * scale, top + box.height * scale
    return round(left) - MARGIN, round(top) - MARGIN, round(right) + MARGIN, round(bottom) + MARGIN


def around(box: Box, size: tuple[int, ...]) -> tuple[slice, slice]:
    """A square window around a box, as far as the picture (height, width) goes."""
    side = max(box.width, box.height)
    half = side // 2 + max(LEAST_AROUND, side // 2)
    x, y = box.left + box.width // 2, box.top + box.height // 2
    rows = slice(max(0, y - half), min(size[0], y + half))
    return rows, slice(max(0, x - half), min(size[1], x + half))


def framed(tile: np.ndarray, frame: tuple[int, int, int, int]) -> np.ndarray:
    """The tile with a thin white frame within a dark one, which stands out on any picture."""
    left, top, right, bottom = frame
    drawn = tile.copy()
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.rectangle(drawn, (left, top), (right, bottom), colour, thickness)
    return drawn


def fitted(tile: np.ndarray) -> np.ndarray:
    """A crop whose longer side is SIDE pixels."""
    factor = SIDE / max(tile.shape[:2])
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    return cv2.resize(tile, None, fx=factor, fy=factor, interpolation=way)
