"""The share of defective parts that pass where at most a share of the good ones is stopped.

A part is stopped if a pixel of it reaches the threshold; of the 19 thresholds, the best one is
taken. So the share is that of a person who chose the threshold on these very parts: it compares
networks, and promises nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from flexunet_exp.decisions import levels
from flexunet_exp.decisions.choosing import Risks
from flexunet_exp.decisions.rules import Shape
from flexunet_exp.scores.region_record import RegionRecord


class Missed(NamedTuple):
    """A share of defective parts, 0..1, and its 95 % interval by the bootstrap over parts."""

    value: float
    low: float
    high: float


def risks_of(record: RegionRecord) -> Risks:
    """The parts stopped and passed at each threshold, whatever the shape of their regions is."""
    stopped = levels.stopped_pictures(record, levels.remaining_regions(record, Shape()), Shape())
    return levels.part_risks(record, stopped)


def share(risks: Risks, at: float) -> float:
    """The share passed where at most `at` (0..1) of the good parts is stopped; 1 if all pass.

    NaN without good, or without defective parts.
    """
    return float(least(risks.false_alarms.means[None], risks.missed.means[None], at)[0])


def estimate(replicates: list[Risks], at: float, resamples: int = 1000) -> Missed:
    """The mean over trainings that predicted the same parts; they have the same resamples."""
    drawn = np.mean([resampled(risks, at, resamples) for risks in replicates], axis=0)
    value = float(np.mean([share(risks, at) for risks in replicates]))
    if np.isnan(drawn).any():
        return Missed(value, np.nan, np.nan)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Missed(value, float(low), float(high))


def resampled(risks: Risks, at: float, resamples: int) -> np.ndarray:
    """The share in each resample (R,) of the good and of the defective parts."""
    draw, means = np.random.default_rng(0), []
    for losses in (risks.false_alarms, risks.missed):
        number = max(losses.number, 1)
        weights = draw.multinomial(losses.number, np.full(number, 1 / number), resamples)
        values = losses.values if losses.number else np.full((1, risks.number), np.nan)
        means.append(weights @ values / number)
    return least(means[0], means[1], at)


def least(stopped: np.ndarray, missed: np.ndarray, at: float) -> np.ndarray:
    """The least share missed (R,) of the thresholds (R, T) that stop at most `at`."""
    is_allowed = stopped <= at + 1e-9
    best = np.where(is_allowed, missed, 1.0).min(axis=1)
    return np.where(np.isnan(stopped).any(axis=1) | np.isnan(missed).any(axis=1), np.nan, best)
