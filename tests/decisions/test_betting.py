"""Tests and bounds by betting: by hand, by their definition, and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexunet_exp.decisions import betting, bounds
from tests.support.properties import examples


def test_the_capital_of_two_sources_by_hand():
    # Both bets on a loss of 0.2 and a goal of 0.5: the first from the variance 1/4, the second from
    # (1/4 + (0.2 - 0.35)²) / 2; each at most 0.95 / 0.5.
    first = min(math.sqrt(math.log(2) / 0.25), 1.9)
    second = min(math.sqrt(math.log(2) / ((0.25 + 0.15**2) / 2)), 1.9)
    assert first < 1.9 == second
    capital = math.log1p(first * 0.3) + math.log1p(second * 0.3)
    found = betting.log_capital(np.full((2, 1), 0.2), 0.5, 0.5)
    assert found == pytest.approx(capital)


def test_without_sources_nothing_is_shown():
    nothing = np.zeros((0, 2))
    assert not betting.granted(nothing, 0.5, 0.1).any()
    assert betting.upper_bounds(nothing, 0.1).tolist() == [1, 1]
    assert betting.interval(nothing[:, 0], 0.9) == (0, 1)


def test_no_number_of_sources_shows_a_goal_that_they_miss():
    losses = np.array([0.1, 0.3])
    assert betting.number_needed(losses, 0.2, 0.1) is None
    needed = betting.number_needed(losses, 0.3, 0.1)
    assert betting.granted(np.resize(losses, needed)[:, None], 0.3, 0.1)
    assert not betting.granted(np.resize(losses, needed - 1)[:, None], 0.3, 0.1)


def test_losses_of_0_take_hardly_more_sources_than_the_exact_test():
    needed = betting.number_needed(np.zeros(5), 0.05, 0.1)
    assert bounds.number_needed(0.0, 0.05, 0.1) <= needed <= 50


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.sampled_from([0.01, 0.05, 0.1]))
@examples(40)
def test_the_bound_is_the_goal_at_which_the_test_turns(values, delta):
    losses = np.array(values)[:, None]
    (bound,) = betting.upper_bounds(losses, delta)
    assert losses.mean() <= bound + 1e-9 and bound <= 1
    if bound < 1 - 1e-6:
        assert betting.granted(losses, bound + 1e-7, delta)
    if bound - 1e-6 > 1e-6:
        assert not betting.granted(losses, bound - 1e-6, delta)


def test_columns_do_not_depend_on_each_other():
    losses = np.random.default_rng(0).random((30, 3)) ** 3
    alone = [betting.upper_bounds(losses[:, [index]], 0.1)[0] for index in range(3)]
    assert betting.upper_bounds(losses, 0.1) == pytest.approx(alone)


def test_the_order_of_the_sources_names_is_no_bet():
    # Sorted by class, good parts first: betting on this order would find the goal kept.
    losses = np.repeat([0.0, 1.0], 40)[:, None]
    assert not betting.granted(losses, 0.45, 0.1)


@pytest.mark.parametrize("power", [1, 8])
def test_a_bound_holds_as_often_as_it_says(power):
    draw, delta = np.random.default_rng(0), 0.1
    losses = draw.random((40, 300)) ** power  # the mean of u ** p is 1 / (p + 1)
    broken = np.mean(betting.upper_bounds(losses, delta) < 1 / (power + 1))
    assert broken <= delta + 2 * math.sqrt(delta * (1 - delta) / 300)
