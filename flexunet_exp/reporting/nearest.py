"""The pictures nearest to a decision on either side, as small pictures for a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from flexunet_exp.decisions import levels
from flexunet_exp.decisions.rules import Rule
from flexunet_exp.reporting import panels
from flexunet_exp.reporting.html import jpeg
from flexunet_exp.scores.region_record import RegionRecord

MOST = 12  # pictures on either side
SIDE = 170  # pixels of a small picture, at the most
GAP = 4  # pixels between two

# By the name of a picture, its image (H, W, N) and masks (H, W) to show; None where it is gone.
Look = Callable[[str], tuple[np.ndarray, Sequence[np.ndarray]] | None]


class Near(NamedTuple):
    """A picture near the decision."""

    name: str
    margin: str
    truth: str
    address: str  # the small picture, as a data address; empty where it is gone


class Side(NamedTuple):
    """The pictures on one side of the decision."""

    title: str
    pictures: list[Near]


def sides(record: RegionRecord, rule: Rule, palette: np.ndarray, look: Look) -> list[Side]:
    """Both sides, the nearest picture first."""
    margins = levels.margins(record, rule)
    titles = {"Stopped by the least": margins >= 0, "Passed by the least": margins < 0}
    return [
        Side(
            title,
            [
                near(record, place, float(margins[place]), palette, look)
                for place in closest(margins, is_side)
            ],
        )
        for title, is_side in titles.items()
    ]


def closest(margins: np.ndarray, is_side: np.ndarray) -> np.ndarray:
    places = np.flatnonzero(is_side)
    return places[np.argsort(np.abs(margins[places]), kind="stable")][:MOST]


def near(record: RegionRecord, place: int, margin: float, palette: np.ndarray, look: Look) -> Near:
    name = str(record.names[place])
    seen = look(name)
    truth = "with a defect" if record.is_defective[place] else "good"
    return Near(name, f"{margin:+.2f}", truth, drawn(*seen, palette) if seen else "")


def drawn(image: np.ndarray, masks: Sequence[np.ndarray], palette: np.ndarray) -> str:
    """The image and, beside it, each mask over it in grey."""
    tiles = [panels.tile(image, SIDE)]
    tiles += [panels.marked_tile(image, mask, palette, SIDE) for mask in masks]
    gap = np.full((len(tiles[0]), GAP, 3), 255, np.uint8)
    parts = [part for one in tiles for part in (one, gap)][:-1]
    return jpeg(Image.fromarray(np.ascontiguousarray(np.hstack(parts))))
