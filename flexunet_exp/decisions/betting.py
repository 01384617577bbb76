"""Tests and bounds of a mean loss in 0..1 by betting, valid for any distribution of the losses.

A gambler bets on each source, one after the other, that its loss is below the goal. If the mean
loss exceeds the goal, the capital ever reaches 1 / delta times its beginning with a probability of
at most delta (Ville 1939), however the bets follow from the sources before (Waudby-Smith & Ramdas
2023, arXiv:2010.09686). The bets are those that they recommend for a known number of sources,
from the variance that the earlier ones show.
"""

from __future__ import annotations

import math

import numpy as np

MOST = 0.95  # of the bet that can lose everything
LARGEST = 10**5  # sources; a goal that takes more is called out of reach


def granted(losses: np.ndarray, goal: float | np.ndarray, delta: float) -> np.ndarray:
    """Whether losses (S, T) in 0..1 show a mean of at most `goal`, for each column.

    `goal`, a number or (T,), is above 0 and below 1. Nothing is shown without sources.
    """
    if not len(losses):
        return np.zeros(losses.shape[1], bool)
    is_rich = log_capital(losses, goal, delta) >= math.log(1 / delta)
    return is_rich & (losses.mean(axis=0) <= goal)


def log_capital(losses: np.ndarray, goal: float | np.ndarray, delta: float) -> np.ndarray:
    """The logarithm (T,) of the highest capital while betting against losses (S, T)."""
    number = len(losses)
    # Sources come sorted by name, and so by class: each must be a draw from the same population.
    drawn = losses[np.random.default_rng(0).permutation(number)]
    counts = np.arange(1, number + 1)[:, None]
    means = (0.5 + drawn.cumsum(axis=0)) / (counts + 1)
    variances = (0.25 + ((drawn - means) ** 2).cumsum(axis=0)) / (counts + 1)
    before = np.vstack([np.full((1, losses.shape[1]), 0.25), variances[:-1]])
    bets = np.minimum(np.sqrt(2 * math.log(1 / delta) / (number * before)), MOST / (1 - goal))
    return np.log1p(bets * (goal - drawn)).cumsum(axis=0).max(axis=0)


def upper_bounds(losses: np.ndarray, delta: float) -> np.ndarray:
    """What the mean loss (T,) exceeds with a probability of at most `delta`: the test, inverted.

    Rounded up to 1e-9; 1 without sources.
    """
    high = np.ones(losses.shape[1])
    if not len(losses):
        return high
    # The capital grows with the goal, so the goals that are granted have one lower end.
    low = losses.mean(axis=0)
    for _ in range(30):
        middle = (low + high) / 2
        is_granted = granted(losses, np.minimum(middle, 1 - 1e-12), delta)
        low, high = np.where(is_granted, low, middle), np.where(is_granted, middle, high)
    return high


def interval(losses: np.ndarray, confidence: float) -> tuple[float, float]:
    """The two-sided interval of the mean of losses (S,); 0 to 1 without sources."""
    delta, column = (1 - confidence) / 2, losses[:, None]
    high = float(upper_bounds(column, delta)[0])
    return 1 - float(upper_bounds(1 - column, delta)[0]), high


def number_needed(losses: np.ndarray, goal: float, delta: float) -> int | None:
    """About how many sources with losses like these (S,) show the goal at `delta`.

    None if no number does, since the mean is not below the goal, or it is above LARGEST.
    """
    known = losses if len(losses) else np.zeros(1)
    if known.mean() >= goal:
        return None

    def shows(number: int) -> bool:
        return bool(granted(np.resize(known, number)[:, None], goal, delta)[0])

    enough = 1
    while not shows(enough):
        enough *= 2
        if enough > LARGEST:
            return None
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if shows(middle) else (middle, enough)
    return enough
