"""python benchmarks/guarantees.py [DRAWS]: do guarantees of `decide` hold as often as they say?

A known population of 20,000 good and 20,000 defective parts is generated for each level. Sources
are drawn from it, a threshold is chosen by the goal at confidence 0.9, and the population tells the
true risk at this threshold. Prints a table in Markdown: the share of draws in which the true risk
exceeds the goal (at most 0.1 but for chance), in which nothing was granted, and the share of
defects missed with the guarantee and by whoever knows the population.
"""

from __future__ import annotations

import math
import sys
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv

from flexunet_exp.decisions import choosing
from flexunet_exp.decisions.choosing import Goals, Risks
from flexunet_exp.decisions.levels import MOST_ALARMS
from flexunet_exp.decisions.sequences import Losses

THRESHOLDS = np.arange(1, 20) / 20
SIZE, CONFIDENCE = 20_000, 0.9
SOURCES = {  # level → goal → good sources, of which there are as many defective ones
    "part": {0.01: (300, 600), 0.05: (60, 120), 0.2: (20, 40)},
    "part, at the goal": {0.01: (300, 600), 0.05: (60, 120), 0.2: (20, 40)},
    "region, at the goal": {0.05: (300,), 0.2: (80, 160)},
    "pixel, at the goal": {0.05: (80, 160), 0.2: (30, 60)},
    "region": {0.01: (3000, 6000), 0.05: (300, 600), 0.2: (80, 160)},
    "pixel": {0.01: (300, 600), 0.05: (80, 160), 0.2: (30, 60)},
}


class Outcome(NamedTuple):
    """What many draws came to, as shares of the draws and mean shares of missed defects."""

    broken: float
    refused: float
    missed: float
    missed_knowing: float


def part_level(draw: np.random.Generator, goal: float) -> Risks:
    """Parts of two pictures, stopped by the highest score of the two."""
    good = draw.beta(1.5, 5, (SIZE, 2)).max(axis=1)
    bad = draw.beta(5, 1.5, (SIZE, 2)).max(axis=1)
    return Risks(
        Losses((good[:, None] >= THRESHOLDS).astype(float)),
        Losses((bad[:, None] < THRESHOLDS).astype(float)),
    )


def at_the_goal(draw: np.random.Generator, goal: float) -> Risks:
    """The hardest population: every threshold stops a few more than the goal."""
    is_stopped = np.arange(SIZE) < 1.02 * goal * SIZE
    alarms = np.repeat(is_stopped[:, None], len(THRESHOLDS), axis=1).astype(float)
    return Risks(Losses(alarms), part_level(draw, goal).missed)


def region_level(draw: np.random.Generator, goal: float) -> Risks:
    """Counts of false alarms that differ much between parts, and shares of one to four defects."""
    rate = draw.gamma(0.5, 1.0, (SIZE, 1)) * np.exp(-6 * THRESHOLDS) * 4
    alarms = np.minimum(draw.poisson(rate), MOST_ALARMS).astype(float)
    scores = draw.beta(4, 1.5, (SIZE, 4))
    is_there = np.arange(4) < draw.integers(1, 5, (SIZE, 1))
    is_missed = (scores[..., None] < THRESHOLDS) & is_there[..., None]
    missed = is_missed.sum(axis=1) / is_there.sum(axis=1)[:, None]
    return Risks(Losses(alarms, False, MOST_ALARMS), Losses(missed, False))


def regions_at_the_goal(draw: np.random.Generator, goal: float) -> Risks:
    """Most parts without a false alarm, a few with five, and slightly too many on average."""
    is_alarm = np.arange(SIZE) < 1.02 * goal / MOST_ALARMS * SIZE
    alarms = np.repeat(MOST_ALARMS * is_alarm[:, None].astype(float), len(THRESHOLDS), axis=1)
    missed = region_level(draw, goal).missed
    return Risks(Losses(alarms, False, MOST_ALARMS), missed)


def pixels_at_the_goal(draw: np.random.Generator, goal: float) -> Risks:
    """Shares of pixels that differ much between parts, and are slightly too many on average."""
    mean = 1.02 * goal
    shares = betaincinv(0.2, 0.2 * (1 - mean) / mean, (np.arange(SIZE) + 0.5) / SIZE)
    alarms = np.repeat(shares[:, None], len(THRESHOLDS), axis=1)
    return Risks(Losses(alarms, False), pixel_level(draw, goal).missed)


def pixel_level(draw: np.random.Generator, goal: float) -> Risks:
    """Shares of pixels above the threshold: of background, and of defects."""
    alarms = draw.beta(0.2, 2, (SIZE, 1)) * np.exp(-5 * THRESHOLDS)
    missed = 1 - (1 - THRESHOLDS) ** draw.gamma(1, 0.5, (SIZE, 1))
    return Risks(Losses(alarms, False), Losses(missed, False))


def sampled(losses: Losses, number: int, draw: np.random.Generator) -> Losses:
    picked = losses.values[draw.integers(0, len(losses.values), number)]
    return Losses(picked, losses.is_binary, losses.most)


def simulated(truth: Risks, goal: float, number: int, draws: int) -> Outcome:
    """What choosing by `max_false_alarms=goal` from `number` sources each comes to."""
    draw = np.random.default_rng(0)
    goals, chosen = Goals(goal, None, CONFIDENCE), []
    for _ in range(draws):
        drawn = (sampled(one, number, draw) for one in (truth.false_alarms, truth.missed))
        seen = Risks(*drawn)
        candidates = choosing.granted(seen, goals)
        chosen.append(choosing.best(seen, goals, candidates) if len(candidates) else -1)
    granted = [at for at in chosen if at >= 0]
    risks, missed = truth.false_alarms.means, truth.missed.means
    return Outcome(
        float(np.mean([risks[at] > goal for at in granted] + [False] * chosen.count(-1))),
        chosen.count(-1) / draws,
        float(np.mean(missed[granted])) if granted else math.nan,
        float(missed[risks <= goal].min()) if (risks <= goal).any() else math.nan,
    )


def main(draws: int) -> None:
    print("| level | goal | sources | goal exceeded | refused | missed | missed, knowing all |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    populations = {
        "part": part_level,
        "part, at the goal": at_the_goal,
        "region, at the goal": regions_at_the_goal,
        "pixel, at the goal": pixels_at_the_goal,
        "region": region_level,
        "pixel": pixel_level,
    }
    limit = 0.1 + 2 * math.sqrt(0.1 * 0.9 / draws)
    worst = 0.0
    for level, population in populations.items():
        for goal, numbers in SOURCES[level].items():
            truth = population(np.random.default_rng(1), goal)
            for number in numbers:
                found = simulated(truth, goal, number, draws)
                worst = max(worst, found.broken)
                shown = " | ".join(f"{value:.3f}" for value in found)
                print(f"| {level} | {goal} | {number} | {shown} |")
    print(f"\nThe goal was exceeded in at most {worst:.3f} of the draws; allowed: {limit:.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1000)
