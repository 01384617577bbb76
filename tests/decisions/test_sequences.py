"""Fixed sequences of rules: worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from flexunet_exp.decisions.sequences import Losses


def of_counts(number: int, *missed: int) -> Losses:
    """0/1 losses of `number` sources, of which `missed` lose under each rule."""
    return Losses(np.array([[i < n for n in missed] for i in range(number)], float))


def test_rules_hold_up_to_the_first_that_fails():
    # 22 sources, goal 0.1 at 0.1: none lost has p = 0.9 ** 22 = 0.098, one lost 0.34.
    losses = of_counts(22, 0, 0, 1, 0)
    assert losses.holding(0.1, 0.1) == 2  # the last one would pass, but comes too late
    assert losses.holding(0.1, 0.09) == 0
    assert losses.holding(0.3, 0.1) == 4


def test_the_bound_of_a_rule_is_the_least_goal_that_it_would_get():
    losses = of_counts(30, 0, 3, 1)
    for index, bound in enumerate(losses.upper_bounds(0.1)):
        assert losses.holding(bound + 1e-6, 0.1) > index
        assert losses.holding(bound - 1e-6, 0.1) <= index


def test_counts_are_tested_as_shares_of_the_most_that_they_can_be():
    counts = Losses(np.full((40, 1), 0.2), is_binary=False, most=5.0)
    assert counts.means.tolist() == pytest.approx([0.2])
    bound = counts.upper_bounds(0.1)[0]
    assert 0.2 < bound < 5
    assert counts.holding(bound + 1e-6, 0.1) == 1
    low, high = counts.interval(0, 0.9)
    assert low < 0.2 < high <= 5


def test_how_many_sources_a_rule_needs():
    assert of_counts(4, 0).needed(0, 0.05, 0.1) == 45
    assert of_counts(4, 1).needed(0, 0.05, 0.1) is None
    assert Losses(np.zeros((0, 3))).needed(0, 0.05, 0.1) == 45
