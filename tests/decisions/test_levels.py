"""Losses of sources at each level, and rules: worked by hand on drawn pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexunet_exp.decisions import levels, rules
from flexunet_exp.decisions.rules import ClassRule, Rule, Shape
from flexunet_exp.scores import regions
from tests.support.properties import examples
from tests.support.region_records import CLASSES, Drawn, record_of

AT_HALF = 9
RECORD = record_of(
    [
        Drawn("good1").predicted(1, 0, 2, 0.6),
        Drawn("good1"),  # a second picture of the part
        Drawn("good2"),
        Drawn("bad1").true(1, 0, 4).predicted(1, 0, 3, 0.9).predicted(2, 10, 1, 0.55),
        Drawn("bad2").true(2, 0, 4).predicted(1, 0, 4, 0.7).true(2, 10, 2),
        Drawn("bad3").true(1, 0, 2),
    ]
)


def at_half(risks) -> tuple[list, list]:
    return risks.false_alarms.values[:, AT_HALF].tolist(), risks.missed.values[:, AT_HALF].tolist()


def test_a_part_is_stopped_if_one_of_its_pictures_is():
    risks = levels.risks(RECORD, "part", Shape(), 0.3)
    # Good parts in the order of their names, then the defective ones.
    assert at_half(risks) == ([1, 0], [0, 0, 1])
    assert risks.false_alarms.is_binary
    assert risks.false_alarms.values[0, 12] == 0  # 0.65 is above the false alarm


def test_small_and_unsure_regions_stop_nothing():
    assert at_half(levels.risks(RECORD, "part", Shape(5), 0.3)) == ([0, 0], [0, 0, 1])
    assert at_half(levels.risks(RECORD, "part", Shape(1, 0.65), 0.3))[0] == [0, 0]


def test_false_alarms_are_counted_in_each_picture_and_defects_found_by_any_class():
    # By name bad1, bad2, bad3, good1, good2: a dent beside bad1, half a scratch a picture of good1.
    risks = levels.risks(RECORD, "region", Shape(), 0.3)
    assert at_half(risks) == ([1, 0, 0, 0.5, 0], [0, 0.5, 1])


def test_a_class_alone_is_found_by_itself():
    scratch, dent = (levels.risks(RECORD, "region", Shape(), 0.3, index) for index in (1, 2))
    assert at_half(scratch) == ([0, 0, 0, 0.5, 0], [0, 1])  # bad1 and bad3
    assert at_half(dent) == ([1, 0, 0, 0, 0], [1])  # bad2's dent is called a scratch


def test_a_defect_must_be_covered_enough():
    risks = levels.risks(RECORD, "region", Shape(), 0.6)  # 9 of 16 pixels
    assert at_half(risks)[1] == [1, 0.5, 1]


def test_more_than_five_false_alarms_are_no_worse():
    many = Drawn("good")
    for left in range(0, 24, 3):
        many.predicted(1, left, 1, 0.8)
    risks = levels.risks(record_of([many, Drawn("bad").true(1, 0, 2)]), "region", Shape(), 0.3)
    assert at_half(risks)[0] == [0, 5]


def test_shares_of_pixels():
    risks = levels.risks(RECORD, "pixel", Shape(), 0.3)
    alarms, missed = at_half(risks)
    pixels = 24 * 24
    assert alarms == pytest.approx([1 / (pixels - 16), 0, 0, 4 / pixels / 2, 0])
    assert missed == pytest.approx([7 / 16, 4 / 20, 1])
    dent = levels.risks(RECORD, "pixel", Shape(), 0.3, 2)
    assert at_half(dent)[1] == [1]


def test_regions_that_were_not_kept_are_false_alarms_and_stop_no_defective_part():
    specks = Drawn("good")
    specks.levels[0, ::2, ::2] = 240
    bad = Drawn("bad").true(1, 0, 1)
    bad.levels[0, ::2, ::2] = 240
    record = record_of([specks, bad])
    assert record.left_out[0, 1, AT_HALF] == 144 - regions.MOST_REGIONS
    counts = levels.alarm_counts(record, levels.remaining_regions(record, Shape()), Shape(), 0)
    assert counts[:, AT_HALF].tolist() == [144, 143]
    # Those that were not kept are no larger than those that were.
    assert at_half(levels.risks(record, "part", Shape(2), 0.3)) == ([0], [1])


RULE = Rule({"scratch": ClassRule(AT_HALF), "dent": ClassRule(15, Shape(4))})


def test_a_region_may_fill_the_picture():
    full = np.full((4, 6), 120, np.uint8)
    with np.errstate(all="raise"):
        assert rules.remaining(full, AT_HALF, Shape(24, 0.5)).all()
        assert not rules.remaining(full, AT_HALF, Shape(25, 0.5)).any()


def test_a_rule_makes_a_mask_of_the_most_probable_class_that_remains():
    drawn = Drawn("x").predicted(1, 0, 3, 0.6).predicted(2, 1, 3, 0.9).predicted(2, 10, 1, 0.9)
    mask = RULE.mask(drawn.levels)
    assert mask[0].tolist()[:12] == [1, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("probability", "margin"), [(0.52, 0.0), (0.8, 0.3), (0.97, 0.45), (0.31, -0.2), (0.0, -0.5)]
)
def test_the_margin_is_the_distance_to_the_other_decision(probability, margin):
    drawn = Drawn("x").predicted(1, 0, 2, probability)
    assert RULE.margin(drawn.levels) == pytest.approx(margin)
    assert RULE.mask(drawn.levels).any() == (margin >= 0)


@given(st.integers(0, 10**6))
@examples(30)
def test_a_record_tells_what_a_rule_does_to_its_pictures(seed):
    draw = np.random.default_rng(seed)
    pictures = []
    for number in range(4):
        one = Drawn(f"part{number // 2}")
        one.levels[:] = draw.choice(
            [0, 30, 100, 150, 220], one.levels.shape, p=[0.7, 0.1, 0.1, 0.06, 0.04]
        )
        pictures.append(one)
    record = record_of(pictures)
    shapes = [Shape(int(draw.integers(1, 6)), float(draw.choice([0, 0.5, 0.7]))) for _ in "12"]
    places = draw.integers(0, 19, 2).tolist()
    rule = Rule(dict(zip(CLASSES[1:], map(ClassRule, places, shapes), strict=True)))
    stopped = [bool(rule.mask(one.levels).any()) for one in pictures]
    assert levels.stopped_by(record, rule).tolist() == stopped
    assert [rule.margin(one.levels) for one in pictures] == levels.margins(record, rule).tolist()
    assert rules.LEVEL_NAMES == ("pixel", "region", "part")
