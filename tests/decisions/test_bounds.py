"""Tests and bounds of mean losses: against values of the literature and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from flexunet_exp.decisions import bounds
from tests.support.properties import examples


def test_the_rule_of_three():
    # No event among n sources: the 95 % bound is close to 3 / n (Hanley & Lippman-Hand 1983).
    assert bounds.upper_bound(0, 100, 0.05) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert bounds.upper_bound(0, 100, 0.05) == pytest.approx(0.03, abs=0.001)


def test_an_interval_of_clopper_and_pearson():
    # 10 of 100: 0.0490 to 0.1762 at 95 %, as in R's binom.test(10, 100).
    low, high = bounds.interval(10, 100, 0.95)
    assert (low, high) == pytest.approx((0.04900469, 0.17622260), abs=1e-7)


@pytest.mark.parametrize(("total", "number"), [(7, 100), (0, 22), (3, 11), (55, 100), (1, 49)])
def test_the_p_value_of_a_0_or_1_loss_is_the_exact_binomial_one(total, number):
    # The sum comes from a float mean here, whose last digit must not add one to it.
    found = bounds.p_values(np.array(total / number * number), number, 0.2)
    assert found == pytest.approx(stats.binomtest(total, number, 0.2, "less").pvalue)


def test_without_sources_nothing_is_shown():
    assert bounds.p_values(np.zeros(2), 0, 0.5).tolist() == [1, 1]
    assert bounds.upper_bound(0, 0, 0.1) == 1
    assert bounds.interval(0, 0, 0.9) == (0, 1)


@given(st.integers(1, 200), st.floats(0, 1), st.sampled_from([0.01, 0.05, 0.1]))
@examples(40)
def test_the_bound_is_the_goal_at_which_the_test_turns(number, share, delta):
    total = round(share * number)
    bound = bounds.upper_bound(total, number, delta)
    assert total / number <= bound <= 1
    if bound < 1 - 1e-6:
        assert bounds.p_values(np.array(total), number, bound + 1e-7) <= delta + 1e-6
    if bound - 1e-6 > total / number:
        assert bounds.p_values(np.array(total), number, bound - 1e-6) > delta - 1e-6


@pytest.mark.parametrize(("goal", "number"), [(0.05, 45), (0.01, 230), (0.2, 11)])
def test_how_many_sources_a_goal_takes_if_none_of_them_misses_it(goal, number):
    # ln 0.1 / ln (1 - goal), rounded up.
    assert bounds.number_needed(0.0, goal, 0.1) == number


def test_no_number_of_sources_shows_a_goal_that_they_miss():
    assert bounds.number_needed(0.2, 0.2, 0.1) is None
    needed = bounds.number_needed(0.1, 0.2, 0.1)
    assert needed and bounds.upper_bound(math.ceil(0.1 * needed), needed, 0.1) <= 0.2


def test_a_bound_holds_as_often_as_it_says():
    draw = np.random.default_rng(0)
    mean, number, delta = 0.15, 30, 0.1
    losses = draw.random((200, number)) < mean
    found = [bounds.upper_bound(total, number, delta) for total in losses.sum(axis=1)]
    broken = np.mean(np.array(found) < mean)
    assert broken <= delta + 2 * math.sqrt(delta * (1 - delta) / 200)
