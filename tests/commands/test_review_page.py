"""A doubt on the page of a review: what is drawn over the picture hides little of it."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from flexunet_exp.commands.review import page
from flexunet_exp.commands.review.predicting import Look
from flexunet_exp.config.overrides import Word
from flexunet_exp.data import dataset as datasets
from flexunet_exp.labels.compared import Box


@pytest.fixture
def look(tiny_dataset) -> Look:
    """A picture with a square of the second class as its prediction."""
    dataset = datasets.load(tiny_dataset())
    sample = next(datasets.rows(dataset.table))
    mask = np.zeros(dataset.read_image(sample).shape[:2], np.uint8)
    mask[20:40, 20:40] = 2
    return Look(0, sample, dataset, np.zeros_like(mask), mask)


def sides(address: str) -> list[np.ndarray]:
    content = base64.b64decode(address.split(",")[1])
    with Image.open(io.BytesIO(content)) as opened:
        drawn = np.asarray(opened.convert("RGB")).astype(int)
    side = (drawn.shape[1] - 2 * page.GAP) // 3
    return [drawn[:, start : start + side] for start in (0, side + page.GAP, 2 * (side + page.GAP))]


def test_the_outline_of_a_region_is_thin_on_the_page(look):
    _, label, prediction = sides(page.crop(look, Box(20, 20, 20, 20)))
    assert max(prediction.shape) == page.SIDE
    changed = np.abs(prediction - label).max(axis=2)
    covered = (changed > 120).sum()  # the outline; the tint changes less
    assert 0 < covered < 0.05 * changed.size
    assert (changed > 15).sum() > 0.1 * changed.size


def test_the_frame_is_around_the_region(look):
    window = page.around(Box(20, 20, 20, 20), (64, 64))
    tile = np.zeros((256, 256, 3), np.uint8)
    height = window[0].stop - window[0].start
    left, top, right, bottom = page.inside(Box(20, 20, 20, 20), window, tile)
    scale = 256 / height
    assert left == top == round((20 - window[0].start) * scale) - page.MARGIN
    assert right == bottom == round((40 - window[0].start) * scale) + page.MARGIN


def test_the_command_on_the_page_predicts_as_this_review_and_uses_its_store():
    kept = "predict.tile=256 tracking.uri=sqlite:///a.db"
    typed = f"run=latest most=12 {kept} export=coco".split()
    command = page.answering("0f", [Word.parse(one) for one in typed])
    assert command == f"flexunet review {kept} run=0f answers=review.csv export=labelme"
