"""Thresholds chosen by goals and by costs, and what is said where there are too few sources."""

from __future__ import annotations

import math

import numpy as np
import pytest

from flexunet_exp.decisions import choosing, supported
from flexunet_exp.decisions.choosing import Costs, Goals, Risks
from flexunet_exp.decisions.sequences import Losses


def of_scores(good: np.ndarray, bad: np.ndarray, thresholds: np.ndarray) -> Risks:
    """Parts that are stopped from their score on: 0/1 losses at each threshold."""
    return Risks(
        Losses((good[:, None] >= thresholds).astype(float)),
        Losses((bad[:, None] < thresholds).astype(float)),
    )


THRESHOLDS = np.linspace(0.05, 0.95, 19)
# 60 good parts with scores up to 0.48, 60 defective ones from 0.3 on.
RISKS = of_scores(np.linspace(0, 0.48, 60), np.linspace(0.3, 1, 60), THRESHOLDS)


def test_a_goal_of_false_alarms_is_met_with_the_fewest_misses():
    goals = Goals(0.05, None)
    candidates = choosing.granted(RISKS, goals)
    chosen = choosing.best(RISKS, goals, candidates)
    assert THRESHOLDS[chosen] == pytest.approx(0.5)
    assert chosen == candidates[0]  # a lower one would miss fewer, and is not granted


def test_a_goal_of_misses_is_met_with_the_fewest_false_alarms():
    goals = Goals(None, 0.1)
    chosen = choosing.best(RISKS, goals, choosing.granted(RISKS, goals))
    assert THRESHOLDS[chosen] == pytest.approx(0.3)


def test_without_good_parts_the_highest_threshold_that_holds_is_taken():
    alone = Risks(Losses(np.zeros((0, 19))), RISKS.missed)
    candidates = choosing.granted(alone, Goals(None, 0.2))
    assert choosing.best(alone, Goals(None, 0.2), candidates) == candidates[-1] > candidates[0]


def test_two_goals_share_what_may_go_wrong():
    assert Goals(0.1, None).delta == pytest.approx(0.1)
    assert Goals(0.1, 0.1).delta == pytest.approx(0.05)
    assert Goals(0.1, 0.1, shared=5).delta == pytest.approx(0.01)
    both = choosing.granted(RISKS, Goals(0.3, 0.3))
    alarms, missed = (
        choosing.granted(RISKS, goals) for goals in (Goals(0.3, None), Goals(None, 0.3))
    )
    assert set(both) < set(alarms) & set(missed)


def test_costs_move_the_threshold():
    dear_misses = choosing.cheapest(RISKS, Costs(100, 1, 0.2))
    dear_alarms = choosing.cheapest(RISKS, Costs(1, 100, 0.2))
    assert THRESHOLDS[dear_misses] == pytest.approx(0.3)
    assert THRESHOLDS[dear_alarms] == pytest.approx(0.5)
    costs = Costs(1, 100, 0.2)
    assert costs.upper_bound(RISKS, dear_alarms, 0.9) > costs.expected(RISKS)[dear_alarms]


def test_ten_good_parts_cannot_show_that_one_in_twenty_is_stopped():
    few = of_scores(np.full(10, 0.2), np.linspace(0.3, 1, 60), THRESHOLDS)
    assert not len(choosing.granted(few, Goals(0.05, None)))
    said = supported.shortage(few, Goals(0.05, None))
    assert said.good_needed == 45
    assert said.max_missed is None
    # What is offered instead is granted, and nothing a little better is.
    offered = said.max_false_alarms
    assert len(choosing.granted(few, Goals(offered, None)))
    assert not len(choosing.granted(few, Goals(offered - 0.002, None)))


def test_two_goals_that_are_out_of_reach_are_offered_together():
    few = of_scores(np.linspace(0, 0.38, 12), np.linspace(0.42, 1, 20), THRESHOLDS)
    goals = Goals(0.05, 0.1)
    assert not len(choosing.granted(few, goals))
    said = supported.shortage(few, goals)
    offered = Goals(said.max_false_alarms, said.max_missed)
    assert len(choosing.granted(few, offered))
    assert said.good_needed >= 59  # ln 0.05 / ln 0.95
    assert said.defective_needed >= 29


def test_no_number_of_parts_helps_a_network_that_stops_them_all():
    blind = of_scores(np.full(50, 0.99), np.full(50, 0.99), THRESHOLDS)
    assert supported.shortage(blind, Goals(0.05, None)).good_needed is None


def draws_that_break(goals: Goals, population: Risks, number: int, draws: int) -> float:
    """The share of draws of sources in which the true risk of the chosen threshold is too high."""
    draw = np.random.default_rng(0)
    broken = 0
    for _ in range(draws):
        picked = (
            draw.integers(0, len(part.values), number)
            for part in (population.false_alarms, population.missed)
        )
        good, bad = picked
        seen = Risks(taken(population.false_alarms, good), taken(population.missed, bad))
        candidates = choosing.granted(seen, goals)
        if len(candidates):
            at = choosing.best(seen, goals, candidates)
            risks = (population.false_alarms.means[at], population.missed.means[at])
            wanted = (goals.max_false_alarms, goals.max_missed)
            broken += any(g is not None and r > g for r, g in zip(risks, wanted, strict=True))
    return broken / draws


def taken(losses: Losses, places: np.ndarray) -> Losses:
    return Losses(losses.values[places], losses.is_binary, losses.most)


@pytest.mark.parametrize("goal", [0.05, 0.2])
@pytest.mark.parametrize("both", [False, True])
def test_a_guarantee_is_broken_as_seldom_as_it_says(goal, both):
    draw = np.random.default_rng(1)
    population = of_scores(draw.beta(2, 6, 4000), draw.beta(6, 2, 4000), THRESHOLDS)
    number = 100 if goal < 0.1 else 40
    broken = draws_that_break(Goals(goal, goal if both else None), population, number, 300)
    assert broken <= 0.1 + 2 * math.sqrt(0.1 * 0.9 / 300)


@pytest.mark.parametrize("goal", [0.05, 0.2])
def test_a_guarantee_of_shares_is_broken_as_seldom_as_it_says(goal):
    draw = np.random.default_rng(2)
    alarms = (draw.beta(2, 6, (4000, 5))[..., None] >= THRESHOLDS).mean(axis=1)
    population = Risks(Losses(alarms, False), Losses(1 - alarms, False))
    broken = draws_that_break(Goals(goal, None), population, 80, 300)
    assert broken <= 0.1 + 2 * math.sqrt(0.1 * 0.9 / 300)
