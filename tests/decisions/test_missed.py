"""The share of defective parts missed at a share of good parts stopped, by hand on drawn parts."""

from __future__ import annotations

import numpy as np
import pytest

from flexunet_exp.decisions import missed
from tests.support.region_records import Drawn, record_of


def parts(good: list[float], bad: list[float]):
    """The risks of parts of one picture each, with a region of such a probability."""
    drawn = [Drawn(f"good{n}").predicted(1, 0, 2, p) for n, p in enumerate(good)]
    drawn += [Drawn(f"bad{n}").true(1, 0, 3).predicted(1, 0, 2, p) for n, p in enumerate(bad)]
    return missed.risks_of(record_of(drawn))


RISKS = parts([0.1, 0.2, 0.3, 0.62], [0.15, 0.35, 0.65, 0.9])


@pytest.mark.parametrize(
    ("at", "share"), [(0, 0.5), (0.2, 0.5), (0.25, 0.25), (0.75, 0.0), (1, 0.0)]
)
def test_the_best_threshold_that_stops_few_enough_is_taken(at, share):
    assert missed.share(RISKS, at) == share


def test_if_every_threshold_stops_too_many_all_defective_parts_pass():
    assert missed.share(parts([1.0], [0.9]), 0.5) == 1


@pytest.mark.parametrize(("good", "bad"), [([], [0.5]), ([0.5], [])])
def test_without_good_or_defective_parts_there_is_no_figure(good, bad):
    found = missed.estimate([parts(good, bad)], 0.05)
    assert np.isnan(found).all()


def test_the_interval_is_over_parts_and_two_equal_trainings_are_as_one():
    one = missed.estimate([RISKS], 0.25)
    assert one == missed.estimate([RISKS, RISKS], 0.25)
    assert one.low < one.value == 0.25 < one.high
    many = parts([0.1, 0.2, 0.3, 0.62] * 20, [0.15, 0.35, 0.65, 0.9] * 20)
    narrow = missed.estimate([many], 0.25)
    assert narrow.high - narrow.low < one.high - one.low
