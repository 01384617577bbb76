"""Tests and bounds of a mean loss of 0 or 1 over independent sources: a share of parts.

The test is the exact binomial one, and the bounds are those of Clopper & Pearson (1934). Losses
between 0 and 1 are in `betting`.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import bdtr, betaincinv  # scipy.stats takes a second to import

LARGEST = 10**6  # sources; a goal that takes more is called out of reach


def p_values(total: np.ndarray, number: int, goal: float) -> np.ndarray:
    """For each sum of `number` losses of 0 or 1, the p-value of "the mean loss exceeds `goal`".

    A small value speaks for a mean of at most `goal`, 0 < goal < 1. It is 1 without sources.
    """
    sums = np.asarray(total, np.float64)
    return bdtr(whole(sums), number, goal) if number else np.ones_like(sums)


def whole(sums: np.ndarray) -> np.ndarray:
    """Each sum of losses, rounded up; one that is whole but for its last digits stays the same."""
    return np.ceil(np.round(sums, 9))


def upper_bound(total: float, number: int, delta: float) -> float:
    """What the mean loss exceeds with a probability of at most `delta`: the test, inverted."""
    if number == 0 or total >= number:
        return 1.0
    return float(betaincinv(round(total) + 1, number - round(total), 1 - delta))


def interval(total: float, number: int, confidence: float) -> tuple[float, float]:
    """The two-sided interval of the mean loss; 0 to 1 without sources."""
    delta = (1 - confidence) / 2
    return 1 - upper_bound(number - total, number, delta), upper_bound(total, number, delta)


def number_needed(mean: float, goal: float, delta: float) -> int | None:
    """The least number of sources of this mean loss that shows the goal at `delta`.

    None if no number does, since the mean is not below the goal, or it is above LARGEST.
    """
    if mean >= goal:
        return None

    def shows(number: int) -> bool:
        # The expected sum rounded up: not a luckier sample than these sources.
        total = math.ceil(round(mean * number, 9))
        return bool(p_values(np.array(total), number, goal) <= delta)

    enough = 1
    while not shows(enough):
        if enough > LARGEST:
            return None
        enough *= 2
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if shows(middle) else (middle, enough)
    return enough
