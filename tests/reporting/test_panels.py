"""Pictures show every class at its place; figures are whole PNG files, whatever the data."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from flexunet_exp.reporting import panels
from tests.support.properties import examples

pytestmark = pytest.mark.filterwarnings("error")

NAMES = ["background", "scratch", "dent"]
PALETTE = np.array([(0, 0, 0), (255, 0, 0), (128, 128, 128)], np.uint8)
DENT = (0, 255, 128)  # in which the grey of a dent is displayed


def shows(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((picture == colour).all(axis=-1).any())


def columns_of(drawn: np.ndarray, width: int) -> list[np.ndarray]:
    """Image, truth and prediction of a panel with pictures of `width`, title and legend cut off."""
    middle = drawn[2 * panels.LINE + panels.GAP : -panels.LINE - panels.GAP]
    starts = [panels.GAP + index * (width + panels.GAP) for index in range(3)]
    return [middle[:, start : start + width] for start in starts]


def test_colourise_shows_classes_in_their_colours_and_ignored_pixels_in_magenta():
    coloured = panels.colourise(np.array([[0, 1, 2, 255]], np.uint8), PALETTE)
    assert coloured.dtype == np.uint8
    assert coloured.tolist() == [[[0, 0, 0], [255, 0, 0], [*DENT], [255, 0, 255]]]


def test_greys_are_displayed_in_distinct_colours_that_the_legend_shows():
    greys = [(0, 0, 0), (128, 128, 128), (0, 0, 255), (255, 255, 255), (90, 100, 95)]
    palette = np.array(greys, np.uint8)
    drawn = panels.displayed(palette)
    np.testing.assert_array_equal(drawn[[0, 2]], palette[[0, 2]])
    assert (np.ptp(drawn[1:], axis=1) > 100).all()
    apart = np.linalg.norm(drawn[:, None].astype(int) - drawn[None], axis=2)
    assert (apart[np.triu_indices(5, 1)] > 100).all()
    legend = panels.class_legend(list("abcde"), palette, 300)
    assert shows(legend, tuple(drawn[1])) and not shows(legend, greys[1])
    np.testing.assert_array_equal(panels.displayed(palette), drawn)


@pytest.mark.parametrize("beside", [255, 2], ids=["ignored", "a larger region"])
def test_a_thin_defect_stays_when_a_panel_shrinks_whatever_is_beside_it(beside):
    mask = np.zeros((1024, 1024), np.uint8)
    mask[496:530, 100:900] = beside
    mask[512:514, 100:900] = 1
    image = np.full((1024, 1024, 3), 128, np.uint8)
    drawn = panels.marked_tile(image, mask, PALETTE, 384)
    assert (drawn == PALETTE[1]).all(axis=-1).sum() > 250
    assert shows(drawn, (255, 0, 255) if beside == 255 else DENT)


def test_overlay_tints_the_region_outlines_it_and_leaves_the_background_alone():
    image = np.full((40, 60, 3), 100, np.uint8)
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 20:40] = 1
    before = image.copy()
    drawn = panels.overlay(image, mask, PALETTE, alpha=0.5)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(drawn[mask == 0], image[mask == 0])
    np.testing.assert_allclose(drawn[20, 30], (177, 50, 50), atol=1)
    for row, column in ((10, 20), (10, 30), (29, 39), (20, 20), (20, 39)):
        assert drawn[row, column].tolist() == [255, 0, 0]


def test_overlay_separates_touching_classes_by_their_outlines():
    mask = np.ones((20, 40), np.uint8)
    mask[:, 20:] = 2
    drawn = panels.overlay(np.zeros((20, 40, 3), np.uint8), mask, PALETTE)
    assert drawn[10, 19].tolist() == [255, 0, 0]
    assert drawn[10, 20].tolist() == [*DENT]
    assert drawn[10, 5].tolist() != [255, 0, 0]


def test_panel_shows_image_truth_and_prediction_each_in_its_column():
    image = np.random.default_rng(0).integers(0, 255, (200, 300, 3)).astype(np.uint8)
    truth, prediction = np.zeros((2, 200, 300), np.uint8)
    truth[50:100, 50:100] = 1
    prediction[50:100, 200:250] = 2
    drawn = panels.panel(image, truth, prediction, NAMES, PALETTE, "test", max_side=300)
    left, middle, right = columns_of(drawn, 300)
    np.testing.assert_array_equal(left, image)
    assert shows(middle[50:100, 50:100], (255, 0, 0)) and not shows(right, (255, 0, 0))
    marked = (right[50:100, 200:250] != middle[50:100, 200:250]).any(axis=-1)
    assert marked.mean() > 0.9
    # Outside of the black rim, the grey picture is the same in both columns.
    elsewhere = np.ones((200, 300), bool)
    elsewhere[49:101, 49:101] = elsewhere[49:101, 199:251] = False
    np.testing.assert_array_equal(middle[elsewhere], right[elsewhere])


@pytest.mark.parametrize("side", [1024, 1000, 3000])
def test_a_defect_of_one_pixel_is_still_seen_when_the_picture_is_shrunk(side):
    mask = np.zeros((side, side), np.uint8)
    mask[side // 3, side // 2 + 1] = 1
    image = np.full((side, side, 3), 200, np.uint8)
    _, truth, prediction = columns_of(
        panels.panel(image, mask, np.zeros_like(mask), NAMES, PALETTE, "x", max_side=256), 256
    )
    assert shows(truth, (255, 0, 0)) and not shows(prediction, (255, 0, 0))
    found = np.argwhere((truth == (255, 0, 0)).all(axis=-1)).mean(axis=0)
    np.testing.assert_allclose(found, (256 / 3, 256 / 2), atol=1.5)


def test_small_pictures_are_enlarged_without_blur():
    image = np.zeros((10, 20, 3), np.uint8)
    image[:, 10:] = 255
    empty = np.zeros((10, 20), np.uint8)
    drawn = panels.panel(image, empty, empty, NAMES, PALETTE, "x", max_side=390)
    left = columns_of(drawn, 380)[0]
    assert left.shape[:2] == (190, 380)
    np.testing.assert_array_equal(left, cv2.resize(image, (380, 190), interpolation=0))


def legend_of(truth: list[int], prediction: list[int]) -> list[str]:
    masks = [np.array([classes], np.uint8) for classes in (truth, prediction)]
    return [label for _, label in panels._legend_entries(*masks, NAMES, PALETTE)]


def test_the_legend_says_where_a_class_was_seen():
    assert legend_of([0, 1, 255], [0, 2, 2]) == [
        "scratch (truth only)",
        "dent (prediction only)",
        "ignored",
    ]
    assert legend_of([0, 1], [0, 1]) == ["scratch"]
    assert legend_of([0, 0], [0, 0]) == ["no defect in truth or prediction"]


def test_a_long_legend_takes_more_rows_and_long_texts_are_shortened():
    truth = np.arange(9, dtype=np.uint8)[None].repeat(9, axis=0)
    palette = np.arange(27, dtype=np.uint8).reshape(9, 3)
    image = np.zeros((9, 9, 3), np.uint8)

    def drawn(names: list[str], title: str) -> np.ndarray:
        return panels.panel(image, truth, truth, names, palette, title, max_side=64)

    short = drawn([str(index) for index in range(9)], "x")
    long = drawn([f"{index} a class with a name {'long ' * 30}" for index in range(9)], "y" * 500)
    assert long.shape[1] == short.shape[1]
    assert long.shape[0] == short.shape[0] + 7 * panels.LINE
    assert (long[:, -panels.GAP // 2 :] == 255).all()


@examples(25)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 2**32))
def test_panels_of_any_size_stack_to_one_sheet(height, width, seed):
    generator = np.random.default_rng(seed)
    image = generator.integers(0, 256, (height, width, 3)).astype(np.uint8)
    truth, prediction = generator.choice([0, 1, 2, 255], (2, height, width)).astype(np.uint8)
    drawn = panels.panel(image, truth, prediction, NAMES, PALETTE, "Größe 7", max_side=200)
    other = panels.panel(
        image[:1, :1], truth[:1, :1], truth[:1, :1], NAMES, PALETTE, "", max_side=9
    )
    factor = 200 / max(height, width)
    expected = round(height * (factor if factor < 1 else int(factor)))
    frame = drawn.shape[0] - max(1, expected) - 2 * panels.LINE - 2 * panels.GAP
    assert drawn.dtype == np.uint8 and frame in (panels.LINE, 2 * panels.LINE)
    sheet = panels.contact_sheet([drawn, other])
    assert sheet.shape == (
        drawn.shape[0] + other.shape[0] + 2 * panels.GAP,
        max(drawn.shape[1], other.shape[1]),
        3,
    )
    np.testing.assert_array_equal(sheet[: drawn.shape[0], : drawn.shape[1]], drawn)


def picture(path) -> np.ndarray:
    with Image.open(path) as file:
        return np.array(file.convert("RGB"))


def test_a_written_picture_comes_back_as_it_was(tmp_path):
    drawn = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    panels.write_png(tmp_path / "panel 傷.png", drawn)
    np.testing.assert_array_equal(picture(tmp_path / "panel 傷.png"), drawn)
    assert [entry.name for entry in tmp_path.iterdir()] == ["panel 傷.png"]
