"""The share of defective parts missed at a share of good parts stopped, by hand on drawn parts."""

from __future__ import annotations

import numpy as np
import pytest

from flexunet_exp.decisions import missed
from flexunet_exp.scores import paired
from flexunet_exp.scores.regions import THRESHOLDS
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
    one, two = missed.estimate([RISKS], 0.25), missed.estimate([RISKS, RISKS], 0.25)
    assert one[:3] == two[:3]
    assert one.low < one.value == 0.25 < one.high
    many = parts([0.1, 0.2, 0.3, 0.62] * 20, [0.15, 0.35, 0.65, 0.9] * 20)
    narrow = missed.estimate([many], 0.25)
    assert narrow.high - narrow.low < one.high - one.low


def test_the_spread_is_that_of_the_trainings():
    assert np.isnan(missed.estimate([RISKS], 0.25).spread)
    worse = parts([0.1, 0.2, 0.3, 0.62], [0.15, 0.15, 0.15, 0.9])  # misses 0.75
    found = missed.estimate([RISKS, worse], 0.25)
    assert (found.value, found.spread) == (0.5, pytest.approx(np.std([0.25, 0.75], ddof=1)))


def parts_at(good: list[float], bad: list[float]) -> missed.Parts:
    """Parts that reach these probabilities, by name."""
    drawn = [Drawn(f"good{n:02}").predicted(1, 0, 2, p) for n, p in enumerate(good)]
    drawn += [Drawn(f"bad{n:02}").true(1, 0, 3).predicted(1, 0, 2, p) for n, p in enumerate(bad)]
    return missed.parts_of(record_of(drawn))


GOOD = [0.12, 0.22, 0.32, 0.62, 0.12]
FIRST, SECOND = parts_at(GOOD, [0.17, 0.37, 0.67, 0.92]), parts_at(GOOD, [0.07, 0.22, 0.27, 0.92])
WORST = parts_at([0.97] * 5, [0.9] * 4)  # every threshold that finds a defect stops all good parts


def test_the_difference_of_two_recipes_is_that_of_their_mean_shares():
    # One of five good parts may be stopped: from the threshold 0.35 on. So 1 and 3 of 4 pass.
    one = missed.paired_difference([([FIRST], [SECOND])], 0.2, resamples=100)
    assert one.difference == pytest.approx(0.25 - 0.75)
    assert (one.num_sources, one.smallest_class) == (9, 4)
    mean = missed.paired_difference([([FIRST, WORST], [SECOND])], 0.2, resamples=100)
    assert mean.difference == pytest.approx((0.25 + 1) / 2 - 0.75)
    units = [([FIRST], [SECOND]), ([SECOND], [SECOND])]
    assert missed.paired_difference(units, 0.2, resamples=100).difference == pytest.approx(-0.25)


def test_interval_and_p_value_are_those_of_resamples_one_by_one():
    found = missed.paired_difference([([FIRST], [SECOND])], 0.25, resamples=500, seed=3)
    weights = paired.rescaled(FIRST.is_defective, 500, 3)

    def share(parts: missed.Parts, counted: np.ndarray) -> float:
        best = 1.0
        for column in parts.is_stopped.T:
            kinds = {False: [0.0, 0.0], True: [0.0, 0.0]}
            for weight, is_bad, is_stopped in zip(counted, parts.is_defective, column, strict=True):
                kinds[is_bad][0] += weight
                kinds[is_bad][1] += weight * (is_stopped != is_bad)
            if kinds[False][1] / kinds[False][0] <= 0.25 + 1e-9:
                best = min(best, kinds[True][1] / kinds[True][0])
        return best

    drawn = np.array([share(FIRST, one) - share(SECOND, one) for one in weights])
    freedom = (5 - 1) + (4 - 1)
    assert (found.low, found.high) == pytest.approx(paired.expanded_interval(drawn, freedom))
    assert found.p == pytest.approx(paired.p_value(drawn, freedom))


def simulated(draw: np.random.Generator, ahead: float) -> list[missed.Parts]:
    """Two networks on 20 good and 40 defective parts, easy or hard for both."""
    is_bad = np.arange(60) >= 20
    easy = np.where(is_bad, draw.normal(0.8, 1, 60), draw.normal(-1.5, 1, 60))
    names = np.array([f"{number:02}" for number in range(60)])
    made = []
    for more in (ahead, 0.0):
        logits = easy + more * is_bad + draw.normal(0, 0.8, 60)
        stopped = 1 / (1 + np.exp(-logits))[:, None] >= THRESHOLDS
        made.append(missed.Parts(names, is_bad, stopped))
    return made


def significant(ahead: float, number: int) -> float:
    """How often two recipes are found to differ."""
    draw = np.random.default_rng(0)
    pairs = [simulated(draw, ahead) for _ in range(number)]
    found = [missed.paired_difference([([a], [b])], 0.05, resamples=500) for a, b in pairs]
    return float(np.mean([one.p < 0.05 for one in found]))


def test_equal_recipes_are_seldom_found_to_differ_and_others_are():
    assert significant(0.0, 150) <= 0.08
    assert significant(3.0, 40) >= 0.5


def test_trainings_on_other_parts_are_refused():
    with pytest.raises(ValueError, match="parts of the trainings differ"):
        missed.paired_difference([([FIRST], [parts_at(GOOD[:3], [0.9] * 6)])], 0.2, resamples=10)
