"""Labels that are probably wrong are found and ranked; right ones are not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from flexunet_exp.errors import InputError
from flexunet_exp.labels import doubts, review_file
from flexunet_exp.labels.compared import Box, compare
from flexunet_exp.scores.regions import STEPS

CLASSES = ("background", "scratch", "dent")
SIDE = 96


def picture(*boxes: tuple[int, int, int, int, int]) -> np.ndarray:
    """A mask with boxes (class, left, top, width, height)."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for label, left, top, width, height in boxes:
        mask[top : top + height, left : left + width] = label
    return mask


def compared(truth: np.ndarray, prediction: np.ndarray, sure: float = 0.9):
    levels = np.zeros((2, SIDE, SIDE), np.uint8)
    for index in (1, 2):
        levels[index - 1][prediction == index] = int(sure * STEPS)
    return compare(truth, levels, prediction)


RIGHT = picture((1, 10, 10, 20, 12), (2, 50, 50, 16, 16))


def found(truth: np.ndarray, prediction: np.ndarray = RIGHT) -> list[doubts.Doubt]:
    """The doubts of a picture among eight whose labels are right."""
    right = [compared(RIGHT, RIGHT) for _ in range(8)]
    return doubts.find([*right, compared(truth, prediction)], len(CLASSES)).doubts


def test_right_labels_are_not_doubted():
    assert found(RIGHT) == []


@pytest.mark.parametrize(
    ("truth", "kind", "label", "proposed", "box"),
    [
        (picture((1, 10, 10, 20, 12)), "extra", 0, 2, Box(50, 50, 16, 16)),
        (picture((1, 10, 10, 20, 12), (1, 50, 50, 16, 16)), "class", 1, 2, Box(50, 50, 16, 16)),
        (
            picture((1, 10, 10, 20, 12), (2, 50, 50, 16, 16), (2, 70, 4, 9, 9)),
            *("unseen", 2, 0, Box(70, 4, 9, 9)),
        ),
        (
            picture((1, 10, 10, 20, 12), (2, 50, 70, 16, 16)),
            *("moved", 2, 2, Box(50, 50, 16, 36)),
        ),
        (
            picture((1, 10, 10, 20, 12), (2, 40, 40, 36, 36)),
            *("outline", 2, 2, Box(40, 40, 36, 36)),
        ),
    ],
)
def test_a_wrong_label_is_doubted_and_mended(truth, kind, label, proposed, box):
    prediction = RIGHT
    if kind == "outline":  # sure enough of the true pixels around it, but another class wins there
        regions = [compared(RIGHT, RIGHT) for _ in range(8)]
        levels = np.zeros((2, SIDE, SIDE), np.uint8)
        levels[0][RIGHT == 1] = levels[1][RIGHT == 2] = int(0.9 * STEPS)
        levels[1][(truth == 2) & (RIGHT == 0)] = int(0.45 * STEPS)
        wrong = doubts.find([*regions, compare(truth, levels, prediction)], 3).doubts
    else:
        wrong = found(truth)
    (one,) = wrong
    assert (one.picture, one.kind, one.label, one.proposed, one.box) == (
        8,
        kind,
        label,
        proposed,
        box,
    )
    assert 0.3 < one.score <= 1 and 0.1 < one.probability < one.score
    np.testing.assert_array_equal(doubts.mended(truth, prediction, [one]).labels, RIGHT)
    assert doubts.mended(truth, prediction, [one]).left_out == []
    is_label_alone = kind in ("unseen", "class")  # needs no region of the prediction
    assert doubts.mended(truth, picture(), [one]).left_out == ([] if is_label_alone else [one])
    assert doubts.mended(RIGHT, prediction, [one]).left_out == ([] if kind == "extra" else [one])


@pytest.mark.parametrize(
    "elsewhere",
    [(1, 50, 70, 16, 16), (2, 50, 70, 16, 6), (2, 2, 78, 16, 16)],
    ids=["another class", "another size", "far away"],
)
def test_an_unlike_label_is_not_taken_for_the_moved_one(elsewhere):
    wrong = found(picture((1, 10, 10, 20, 12), elsewhere))
    assert sorted(one.kind for one in wrong) == ["extra", "unseen"]


def test_a_moved_label_is_one_doubt_that_is_likelier_than_either_half():
    halves = found(picture((1, 10, 10, 20, 12), (2, 50, 70, 16, 6)))
    (whole,) = found(picture((1, 10, 10, 20, 12), (2, 50, 70, 16, 16)))
    assert whole.distance == 20
    assert whole.score > max(one.score for one in halves)


def test_a_contradicted_label_is_as_likely_wrong_as_bayes_says():
    assert doubts.contradicted(1.0) == 1
    assert doubts.contradicted(0.0) == doubts.WRONG
    draw = np.random.default_rng(0)
    is_wrong = draw.random(10**6) < doubts.WRONG
    is_contradicted = is_wrong | (draw.random(10**6) < 0.2)
    assert abs(doubts.contradicted(0.8) - is_wrong[is_contradicted].mean()) < 0.005


def test_what_a_network_often_invents_is_doubted_less():
    often = [compared(picture((1, 10, 10, 20, 12)), RIGHT) for _ in range(8)]
    few = [compared(RIGHT, RIGHT) for _ in range(8)]
    lone = compared(picture((1, 10, 10, 20, 12)), RIGHT)
    (rare,) = doubts.find([*few, lone], 3).doubts
    frequent = doubts.find([*often, lone], 3).doubts
    assert len(frequent) == 9 and max(one.score for one in frequent) < rare.score / 2


def test_ignored_pixels_are_neither_labels_nor_doubts():
    truth = picture((1, 10, 10, 20, 12))
    truth[40:80, 40:80] = 255
    assert found(truth) == []


def test_a_class_that_the_network_finds_hard_is_not_doubted_for_that():
    unsure = [compared(RIGHT, RIGHT, sure=0.55) for _ in range(8)]
    assert doubts.find(unsure, 3).doubts == []


def test_the_expected_precision_falls_with_the_rank():
    one = doubts.Doubt(0, "extra", 0, 2, Box(50, 50, 16, 16), 256, 1.0, 0.9, float("nan"))
    ranked = [one, one._replace(probability=0.5), one._replace(probability=0.1)]
    np.testing.assert_allclose(doubts.expected_precision(ranked), [0.9, 0.7, 0.5])


def test_a_proposed_region_never_paints_over_what_is_drawn():
    truth = picture((2, 50, 50, 4, 16))
    one = doubts.Doubt(0, "extra", 0, 2, Box(50, 50, 16, 16), 256, 0.9, 0.5, float("nan"))
    other = picture((1, 50, 50, 4, 16))
    mended = doubts.mended(other, picture((2, 50, 50, 16, 16)), [one]).labels
    assert (mended[50:66, 50:54] == 1).all() and (mended[50:66, 54:66] == 2).all()
    assert doubts.mended(truth, picture(), [one]).labels.sum() == truth.sum()


def test_an_ignored_rim_changes_neither_what_is_proposed_nor_what_is_drawn():
    truth = picture((1, 10, 10, 20, 12))
    truth[50:66, 62:70] = 255  # beside the extra region, and over a part of it
    (extra,) = found(truth)
    mended = doubts.mended(truth, RIGHT, [extra]).labels
    assert (mended[50:66, 50:62] == 2).all() and (mended[truth == 255] == 255).all()

    moved = picture((1, 10, 10, 20, 12), (2, 50, 74, 16, 16))
    moved[50:66, 62:70] = 255
    one = doubts.Doubt(0, "moved", 2, 2, Box(50, 50, 16, 40), 256, 0.9, 0.5, 20.0)
    mended = doubts.mended(moved, RIGHT, [one]).labels
    assert (mended[50:66, 50:62] == 2).any(), "the label is erased, and drawn nowhere else"
    assert not (mended[50:66, 74:90] == 2).any()


def generated(draw: np.random.Generator) -> np.ndarray:
    """A mask with some ellipses of both classes."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for label in draw.integers(1, 3, draw.integers(1, 6)).tolist():
        centre, axes = draw.integers(5, SIDE - 4, 2).tolist(), draw.integers(2, 20, 2).tolist()
        cv2.ellipse(mask, centre, axes, int(draw.integers(180)), 0, 360, label, -1)
    return mask


def test_each_doubt_of_a_fresh_review_can_be_drawn():
    draw = np.random.default_rng(0)
    number = 0
    for rim in [0, 0, 12] * 80:
        truth, prediction = generated(draw), generated(draw)
        truth[:rim] = 255
        one = compared(truth, prediction, sure=draw.uniform(0.4, 0.8))
        wrong = doubts.find([one], len(CLASSES)).doubts
        assert doubts.mended(truth, prediction, wrong).left_out == []
        number += len(wrong)
    assert number > 500


def test_a_label_that_the_prediction_meets_is_not_taken_for_a_moved_one():
    label, strip, below = (1, 10, 10, 20, 10), (1, 10, 18, 17, 2), (1, 10, 24, 20, 10)
    truth, prediction = picture(label), picture(strip, below)
    wrong = found(truth, prediction)
    assert sorted(one.kind for one in wrong) == ["extra", "unseen"]
    mended = doubts.mended(truth, prediction, wrong).labels
    np.testing.assert_array_equal(mended, picture(below))


@pytest.mark.parametrize(
    "prediction",
    [picture(), picture((2, 50, 50, 8, 20))],
    ids=["predicted nowhere", "predicted in its box beside it"],
)
def test_an_outline_that_no_predicted_region_replaces_stays(prediction):
    truth = picture((2, 40, 40, 30, 6), (2, 40, 40, 6, 30))  # an L, which leaves half of its box
    one = doubts.Doubt(8, "outline", 2, 2, Box(40, 40, 30, 30), 324, 0.9, 0.5, 9.0)
    np.testing.assert_array_equal(doubts.mended(truth, prediction, [one]).labels, truth)
    assert doubts.mended(truth, prediction, [one]).left_out == [one]


def forgotten(one: doubts.Doubt) -> doubts.Doubt:
    """Without what the file rounds."""
    return one._replace(score=0, probability=0, distance=0)


def test_answers_are_read_back(tmp_path):
    wrong = found(picture((1, 10, 10, 20, 12)))
    names = [f"p{number}" for number in range(9)]
    text = review_file.text(wrong, names, CLASSES)
    (tmp_path / "review.csv").write_text(text.rstrip("\n") + "1\n")
    (row,) = review_file.read(tmp_path / "review.csv", names, CLASSES)
    assert row.is_wrong and row.picture == "p8"
    assert forgotten(row.doubt) == forgotten(wrong[0])


def test_answers_with_mistakes_are_refused_with_all_of_them(tmp_path):
    text = review_file.text(found(picture((1, 10, 10, 20, 12))), list("abcdefgh") + ["bent-1"],
                            CLASSES)  # fmt: skip
    head, line = text.splitlines()
    broken = line.replace("bent-1", "bent-2").replace("extra", "more").replace("dent", "hole")
    (tmp_path / "review.csv").write_text(f"{head}\n{broken}maybe\n")
    with pytest.raises(InputError) as error:
        review_file.read(tmp_path / "review.csv", ["bent-1"], CLASSES)
    said = str(error.value)
    for part in ("line 2", "Did you mean 'bent-1'", "'more'", "'hole'", "'maybe'"):
        assert part in said
    (tmp_path / "other.csv").write_text("a;b\n1;2\n")
    with pytest.raises(InputError, match="lacks the columns rank"):
        review_file.read(tmp_path / "other.csv", ["bent-1"], CLASSES)
