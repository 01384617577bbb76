"""Shapes become pixels as the tools' own libraries draw them over the whole picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from PIL import Image, ImageDraw
from pycocotools import mask as coco

from flexunet_exp.data.annotations import raster
from flexunet_exp.data.annotations.raster import Crop, Tool
from flexunet_exp.data.annotations.shapes import (
    Bitmap,
    Dots,
    Ellipse,
    Line,
    Polygon,
    Polygons,
    Runs,
    box,
    turned_box,
)
from flexunet_exp.errors import InputError

SIZE = (20, 31)
RULES = (
    raster.by_pillow,
    raster.by_opencv,
    raster.by_opencv_cut,
    raster.by_coco,
    raster.by_centre,
    raster.by_cover,
)
near = st.integers(-8 * 8, 40 * 8).map(lambda eighths: eighths / 8)
far = st.integers(-3000, 3000).map(float)
coordinates = st.one_of(near, near, near, far)
outlines = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=7).map(np.array)
lines = st.lists(st.tuples(near, near), min_size=2, max_size=5).map(np.array)
SQUARE = np.array([(10, 10), (20, 10), (20, 18), (10, 18)], float)
BOW_TIE = np.array([(2, 2), (28, 17), (28, 2), (2, 17)], float)
FAR_OUT = np.array([(-3000, -3000), (3000, -2), (5, 3000)], float)


def whole(crop: Crop, size=SIZE) -> np.ndarray:
    """The pixels of a crop in the picture."""
    picture = np.zeros(size, bool)
    assert crop.pixels.shape == picture[crop.place].shape
    picture[crop.place] = crop.pixels
    return picture


def pillow(draw) -> np.ndarray:
    canvas = Image.new("L", SIZE[::-1])
    draw(ImageDraw.Draw(canvas))
    return np.array(canvas, bool)


def opencv(points: np.ndarray) -> np.ndarray:
    canvas = np.zeros(SIZE, np.uint8)
    cv2.fillPoly(canvas, [points.astype(np.int32)], 1)
    return canvas.astype(bool)


def pairs(points: np.ndarray) -> list[tuple[float, float]]:
    return [*map(tuple, points.tolist())]


@given(outlines)
@example(BOW_TIE)
@example(FAR_OUT)
def test_pillow_draws_the_same_over_the_whole_picture(points):
    expected = pillow(lambda draw: draw.polygon(pairs(points), outline=1, fill=1))
    assert (whole(raster.by_pillow((points,), SIZE)) == expected).all()


@given(outlines)
@example(BOW_TIE)
@example(FAR_OUT)
def test_opencv_draws_the_same_over_the_whole_picture(points):
    assert (whole(raster.by_opencv((points,), SIZE)) == opencv(np.rint(points))).all()
    assert (whole(raster.by_opencv_cut((points,), SIZE)) == opencv(np.trunc(points))).all()


@given(outlines)
@example(BOW_TIE)
@example(FAR_OUT)
def test_coco_draws_the_same_over_the_whole_picture(points):
    (runs,) = coco.frPyObjects([points.ravel().tolist()], *SIZE)
    assert (whole(raster.by_coco((points,), SIZE)) == coco.decode(runs)).all()


@given(lines, st.integers(1, 12))
def test_lines_are_the_same_over_the_whole_picture(points, width):
    expected = pillow(lambda draw: draw.line(pairs(points), fill=1, width=width))
    assert (whole(raster.lines_by_pillow(points, width, SIZE)) == expected).all()
    canvas = np.zeros(SIZE, np.uint8)
    cv2.polylines(canvas, [np.rint(points).astype(np.int32)], False, 1, width)
    assert (whole(raster.lines_by_opencv(points, width, SIZE)) == canvas).all()


@given(near, near, near.map(abs), near.map(abs))
@example(-0.5, 0.25, 3.0, 3.0)
def test_ellipses_of_pillow_are_the_same_over_the_whole_picture(x, y, rx, ry):
    corners = [(x - rx, y - ry), (x + rx, y + ry)]
    expected = pillow(lambda draw: draw.ellipse(corners, outline=1, fill=1))
    drawn = raster.ellipse_by_pillow(Ellipse((x, y), (rx, ry)), SIZE)
    assert (whole(drawn) == expected).all()


@given(outlines)
def test_the_rule_of_centres_takes_the_pixels_whose_middle_is_inside(points):
    drawn = whole(raster.by_centre((points,), SIZE))
    for (row, column), inside in np.ndenumerate(drawn):
        assert inside == is_inside(column + 0.5, row + 0.5, points)


def is_inside(x: float, y: float, points: np.ndarray) -> bool:
    """Whether a ray to the left crosses the outline an odd number of times."""
    crossed = 0
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if min(y0, y1) <= y < max(y0, y1):
            crossed += x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x
    return crossed % 2 == 1


def test_the_rule_of_centres_agrees_with_matplotlib_where_no_line_is_crossed():
    heptagon = raster.ellipse_as_polygon(Ellipse((14.3, 9.7), (11.1, 8.3), 20))[::18]
    middles = np.stack(np.indices(SIZE)[::-1], axis=-1).reshape(-1, 2) + 0.5
    expected = Outline(heptagon).contains_points(middles).reshape(SIZE)
    assert (whole(raster.by_centre((heptagon,), SIZE)) == expected).all()


@given(st.lists(st.tuples(near, near), min_size=3, max_size=3).map(np.array))
def test_cover_takes_all_pixels_that_hold_a_part_of_the_area(points):
    drawn = whole(raster.by_cover((points,), SIZE))
    for (row, column), covered in np.ndenumerate(drawn):
        shared = overlap(points, column, row)
        if shared > 1e-9:
            assert covered
        elif has_area(points):
            assert not covered or shared > -1e-9  # a corner that only just touches may count


def overlap(triangle: np.ndarray, left: int, top: int) -> float:
    """How deep a triangle and a pixel overlap: the smallest shift that would part them.

    Two convex areas are apart where a line in the direction of an edge of either parts them.
    """
    pixel = np.array([(left, top), (left + 1, top), (left + 1, top + 1), (left, top + 1)], float)
    edges = np.vstack([np.roll(triangle, -1, axis=0) - triangle, np.eye(2)])
    depths = []
    for dx, dy in edges[np.hypot(*edges.T) > 0]:
        across = np.array([-dy, dx]) / np.hypot(dx, dy)
        one, other = triangle @ across, pixel @ across
        depths.append(min(one.max(), other.max()) - max(one.min(), other.min()))
    return min(depths)


def has_area(triangle: np.ndarray) -> bool:
    (ax, ay), (bx, by) = triangle[1] - triangle[0], triangle[2] - triangle[0]
    return abs(ax * by - ay * bx) > 1e-9


def test_each_rule_gives_a_square_of_whole_numbers_its_own_size():
    drawn = {rule.__name__: int(whole(rule((SQUARE,), SIZE)).sum()) for rule in RULES}
    assert drawn == {
        "by_pillow": 99,
        "by_opencv": 99,
        "by_opencv_cut": 99,
        "by_coco": 80,
        "by_centre": 80,
        "by_cover": 80,
    }


def test_a_bow_tie_is_filled_by_the_even_odd_rule():
    for rule in RULES:
        assert not whole(rule((BOW_TIE,), SIZE))[4, 15]
        assert whole(rule((BOW_TIE,), SIZE))[9, 4]


@pytest.mark.parametrize("rule", RULES)
def test_holes_are_cut_out(rule):
    hole = np.array([(13, 12), (17, 12), (17, 16), (13, 16)], float)
    drawn = whole(rule((SQUARE, hole), SIZE))
    assert not drawn[14, 15]
    assert drawn[11, 11] and drawn[17, 19]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("shift", [(1e5, 0), (-1e5, 0), (0, 1e5), (0, -1e5), (1e300, 1e300)])
def test_shapes_far_outside_have_no_pixel(rule, shift):
    assert not whole(rule((SQUARE + shift,), SIZE)).any()


@pytest.mark.parametrize("rule", RULES)
def test_a_shape_around_the_picture_fills_it(rule):
    around = np.array([(-1e7, -1e7), (1e7, -1e7), (1e7, 1e7), (-1e7, 1e7)])
    assert whole(rule((around,), SIZE)).all()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_degenerate_outlines_are_drawn_without_an_error(rule, number):
    whole(rule((np.full((number, 2), 7.0),), SIZE))
    whole(rule((np.array([(3, 3), (9, 3), (3, 3)][:number], float),), SIZE))


def test_cover_keeps_what_has_no_area():
    drawn = whole(raster.by_cover((np.array([(5, 2), (5, 8)], float),), SIZE))
    assert drawn[2:8, 5].all() and drawn.sum() <= 7
    assert whole(raster.by_cover((np.array([(5, 2)], float),), SIZE)).sum() == 1


@pytest.mark.parametrize("rule", RULES)
def test_lines_too_long_to_draw_are_an_error(rule):
    jumping = np.array([(0, -1e6), (10, 1e6)] * 1000)
    with pytest.raises(InputError, match="correct its coordinates"):
        rule((jumping,), SIZE)


@pytest.mark.parametrize("draw", [raster.lines_by_pillow, raster.lines_by_opencv])
def test_lines_of_any_width_are_drawn(draw):
    assert whole(draw(np.array([(3.0, 4.0), (9.0, 4.0)]), 1e6, SIZE))[:, 4:9].all()


@given(lines, st.integers(1, 9))
def test_exact_lines_take_the_pixels_near_them(points, width):
    drawn = whole(raster.lines_exactly(points, width, SIZE))
    for (row, column), near_it in np.ndenumerate(drawn):
        middle = np.array([column + 0.5, row + 0.5])
        distance = min(away(middle, *ends) for ends in zip(points, points[1:], strict=False))
        assert near_it == (distance <= width / 2) or abs(distance - width / 2) < 1e-9


def away(point: np.ndarray, start: np.ndarray, end: np.ndarray) -> float:
    """The distance of a point from a straight piece, over a fine row of points of the piece."""
    along = end - start
    length = along @ along
    share = min(1, max(0, (point - start) @ along / length)) if length else 0
    return float(np.linalg.norm(point - start - share * along))


@given(st.integers(1, 40), st.integers(1, 60), st.data())
def test_run_lengths_are_those_of_pycocotools(height, width, data):
    some = data.draw(st.binary(min_size=height * width, max_size=height * width))
    pixels = (np.frombuffer(some, np.uint8) > data.draw(st.sampled_from([0, 127, 254]))).reshape(
        height, width
    )
    runs = coco.encode(np.asfortranarray(pixels.astype(np.uint8)))
    size = height, width
    for counts in (runs["counts"], tuple(raster.run_lengths(runs["counts"]))):
        assert (whole(raster.decoded(Runs(counts, size), size), size) == pixels).all()


@pytest.mark.parametrize(
    "counts", [(5, 3), (5, -3, 618), (), b"", b"\x01\x02", b"o", b"0", (10**30,), b"ooooooooooooo0"]
)
def test_run_lengths_that_do_not_fit_are_an_error(counts):
    with pytest.raises(InputError, match="run lengths"):
        raster.decoded(Runs(counts, SIZE), SIZE)


def test_run_lengths_of_a_giant_picture_are_an_error():
    with pytest.raises(InputError, match="more than"):
        raster.decoded(Runs((10**12,), (10**6, 10**6)), (10**6, 10**6))


def test_a_bitmap_is_cut_at_the_border():
    tool = Tool("any")
    pixels = np.arange(24).reshape(4, 6) % 2 == 0
    assert (whole(tool.draw(Bitmap(pixels, -2, -1), SIZE))[:3, :4] == pixels[1:, 2:]).all()
    assert (whole(tool.draw(Bitmap(pixels, 28, 18), SIZE))[18:, 28:] == pixels[:2, :3]).all()
    assert not whole(tool.draw(Bitmap(pixels, 10**9, -(10**9)), SIZE)).any()


def test_an_object_of_several_areas_is_their_union():
    tool = Tool("any", polygon=raster.by_pillow)
    parts = Polygons((box(2, 2, 4, 4), box(3, 3, 8, 6)))
    assert whole(tool.draw(parts, SIZE)).sum() == 9 + 24 - 4


@pytest.mark.parametrize("way", ["tool", "centre", "cover"])
@pytest.mark.parametrize(
    "shape",
    [
        Line(np.array([(2.0, 3.0), (20.0, 9.0)])),
        Dots(np.array([(5.0, 5.0), (15.0, 9.0)])),
        Ellipse((15, 10), (9, 4), 30),
        turned_box((15, 10), 12, 6, 30),
        Polygon(SQUARE, (SQUARE / 4 + 12,)),
    ],
)
def test_every_shape_is_drawn_by_every_rule(shape, way):
    tool = Tool("any", polygon=raster.by_opencv, line_width=3, point_radius=2)
    assert 15 < whole(tool.by(way).draw(shape, SIZE)).sum() < 160


def test_a_box_turned_by_ninety_degrees_stands_upright():
    drawn = whole(Tool("any", polygon=raster.by_centre).draw(turned_box((15, 10), 12, 6, 90), SIZE))
    rows, columns = np.nonzero(drawn)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (4, 16, 12, 18)
