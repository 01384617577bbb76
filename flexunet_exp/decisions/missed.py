"""The share of defective parts that pass where at most a share of the good ones is stopped.

A part is stopped if a pixel of it reaches the threshold; of the 19 thresholds, the best one is
taken. So the share is that of a person who chose the threshold on these very parts: it compares
networks, and promises nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from flexunet_exp.decisions import levels
from flexunet_exp.decisions.choosing import Risks
from flexunet_exp.decisions.rules import Shape
from flexunet_exp.scores import paired
from flexunet_exp.scores.paired import PairedDifference
from flexunet_exp.scores.region_record import RegionRecord


class Missed(NamedTuple):
    """A share of defective parts, 0..1, and its 95 % interval by the bootstrap over parts.

    `spread` is the standard deviation over trainings; NaN with one.
    """

    value: float
    low: float
    high: float
    spread: float


class Parts(NamedTuple):
    """The P parts that a training was tested on, sorted by name, at each of T thresholds."""

    names: np.ndarray  # (P,) str
    is_defective: np.ndarray  # (P,) bool
    is_stopped: np.ndarray  # (P, T) bool


def risks_of(record: RegionRecord) -> Risks:
    """The parts stopped and passed at each threshold, whatever the shape of their regions is."""
    return levels.part_risks(record, stopped_in(record))


def parts_of(record: RegionRecord) -> Parts:
    """Which parts are stopped at each threshold, whatever the shape of their regions is."""
    is_defective = levels.source_any(record.sources, record.is_defective[:, None])[:, 0]
    is_stopped = levels.source_any(record.sources, stopped_in(record))
    return Parts(np.unique(record.sources), is_defective, is_stopped)


def stopped_in(record: RegionRecord) -> np.ndarray:
    return levels.stopped_pictures(record, levels.remaining_regions(record, Shape()), Shape())


def share(risks: Risks, at: float) -> float:
    """The share passed where at most `at` (0..1) of the good parts is stopped; 1 if all pass.

    NaN without good, or without defective parts.
    """
    return float(least(risks.false_alarms.means[None], risks.missed.means[None], at)[0])


def estimate(replicates: list[Risks], at: float, resamples: int = 1000) -> Missed:
    """The mean over trainings that predicted the same parts; they have the same resamples."""
    drawn = np.mean([resampled(risks, at, resamples) for risks in replicates], axis=0)
    shares = [share(risks, at) for risks in replicates]
    value = float(np.mean(shares))
    spread = float(np.std(shares, ddof=1)) if len(shares) > 1 else np.nan
    if np.isnan(drawn).any():
        return Missed(value, np.nan, np.nan, spread)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Missed(value, float(low), float(high), spread)


def resampled(risks: Risks, at: float, resamples: int) -> np.ndarray:
    """The share in each resample (R,) of the good and of the defective parts."""
    draw, means = np.random.default_rng(0), []
    for losses in (risks.false_alarms, risks.missed):
        number = max(losses.number, 1)
        weights = draw.multinomial(losses.number, np.full(number, 1 / number), resamples)
        values = losses.values if losses.number else np.full((1, risks.number), np.nan)
        means.append(weights @ values / number)
    return least(means[0], means[1], at)


def paired_difference(
    units: Sequence[tuple[Sequence[Parts], Sequence[Parts]]],
    at: float,
    resamples: int = paired.RESAMPLES,
    seed: int = 0,
) -> PairedDifference:
    """The share missed of one recipe minus that of another; below 0, the first is better.

    A unit has the trainings of both on the same parts; the figure is the mean over trainings, then
    over units. Good and defective parts are drawn apart, the same for both recipes, and each
    resample chooses its thresholds anew (see `scores.paired`). Raises ValueError where the parts of
    a unit differ.
    """
    every = [one for first, second in units for one in (*first, *second)]
    for first, second in units:
        for one in (*first, *second):
            same_names = np.array_equal(one.names, first[0].names)
            if not (same_names and np.array_equal(one.is_defective, first[0].is_defective)):
                raise ValueError("the parts of the trainings differ")
    names, where = np.unique(np.concatenate([one.names for one in every]), return_index=True)
    labels = np.concatenate([one.is_defective for one in every])[where]
    whole, weights = np.ones((1, len(names))), paired.rescaled(labels, resamples, seed)
    found, drawn = (
        np.mean([unit_difference(*unit, draws, names, at) for unit in units], axis=0)
        for draws in (whole, weights)
    )
    return paired.judged(float(found[0]), drawn, labels)


def unit_difference(
    first: Sequence[Parts],
    second: Sequence[Parts],
    weights: np.ndarray,
    names: np.ndarray,
    at: float,
) -> np.ndarray:
    """The difference (R,) in resamples (R, n) of the parts called `names` (n,)."""
    place = np.searchsorted(names, first[0].names)
    means = [
        np.mean([weighted_share(one, weights[:, place], at) for one in parts], axis=0)
        for parts in (first, second)
    ]
    return means[0] - means[1]


def weighted_share(parts: Parts, weights: np.ndarray, at: float) -> np.ndarray:
    """The share missed (R,) where parts count as `weights` (R, P) say; NaN without a kind."""
    stopped, passed = (
        weighted_mean(values[chosen], weights[:, chosen])
        for values, chosen in (
            (parts.is_stopped, ~parts.is_defective),
            (~parts.is_stopped, parts.is_defective),
        )
    )
    return least(stopped, passed, at)


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The means (R, T) of rows (P, T) with weights (R, P); NaN where these sum to 0."""
    totals = weights.sum(axis=1, keepdims=True)
    return weights @ values.astype(np.float64) / np.where(totals > 0, totals, np.nan)


def least(stopped: np.ndarray, missed: np.ndarray, at: float) -> np.ndarray:
    """The least share missed (R,) of the thresholds (R, T) that stop at most `at`."""
    is_allowed = stopped <= at + 1e-9
    best = np.where(is_allowed, missed, 1.0).min(axis=1)
    return np.where(np.isnan(stopped).any(axis=1) | np.isnan(missed).any(axis=1), np.nan, best)
