"""The pictures nearest to a decision: which, in which order, and how they are drawn."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from flexunet_exp.decisions.rules import ClassRule, Rule
from flexunet_exp.reporting import nearest
from tests.support.region_records import CLASSES, SIDE, Drawn, record_of

RULE = Rule(dict.fromkeys(CLASSES[1:], ClassRule(9)))  # stops at 0.5
PALETTE = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
RECORD = record_of(
    [
        Drawn("sure").true(1, 0, 3).predicted(1, 0, 3, 0.96),
        Drawn("near").predicted(1, 0, 3, 0.52),
        Drawn("below").true(2, 0, 3).predicted(2, 0, 3, 0.46),
        Drawn("nothing"),
    ]
)


def look(name: str):
    """Every picture but the third, twice as wide as high."""
    mask = np.zeros((SIDE, 2 * SIDE), np.uint8)
    return None if name == "2" else (np.full((SIDE, 2 * SIDE, 3), 90, np.uint8), [mask, mask])


def test_the_nearest_pictures_of_each_side_come_first():
    stopped, passed = nearest.sides(RECORD, RULE, PALETTE, look)
    assert [(one.name, one.margin, one.truth) for one in stopped.pictures] == [
        ("1", "+0.00", "good"),
        ("0", "+0.45", "with a defect"),
    ]
    assert [(one.name, one.margin) for one in passed.pictures] == [("2", "-0.05"), ("3", "-0.50")]


def test_a_picture_stands_beside_its_masks_in_the_page_itself():
    stopped, passed = nearest.sides(RECORD, RULE, PALETTE, look)
    kind, content = stopped.pictures[0].address.split(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as drawn:
        one = (drawn.width - 2 * nearest.GAP) / 3
        assert one == 2 * drawn.height and one <= nearest.SIDE
    assert passed.pictures[0].address == ""  # it is gone
