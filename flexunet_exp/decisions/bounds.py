"""Tests and bounds of a mean loss over independent sources, valid for any number of them.

A loss that is 0 or 1 has the exact binomial test and the bounds of Clopper & Pearson (1934). Any
other loss in 0..1 has the test of Hoeffding and Bentkus (Bates et al. 2021, arXiv:2101.02703;
Angelopoulos et al. 2021, arXiv:2110.01052, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import bdtr, betaincinv, xlogy  # scipy.stats takes a second to import

LARGEST = 10**6  # sources; a goal that takes more is called out of reach


def p_values(total: np.ndarray, number: int, goal: float, is_binary: bool) -> np.ndarray:
    """For each sum of `number` losses in 0..1, the p-value of "the mean loss exceeds `goal`".

    A small value speaks for a mean of at most `goal`, 0 < goal < 1. It is 1 without sources.
    """
    sums = np.asarray(total, np.float64)
    if number == 0:
        return np.ones_like(sums)
    at_most = bdtr(whole(sums), number, goal)
    return (
        at_most
        if is_binary
        else np.minimum(hoeffding(sums / number, number, goal), at_most * math.e).clip(0, 1)
    )


def whole(sums: np.ndarray) -> np.ndarray:
    """Each sum of losses, rounded up; one that is whole but for its last digits stays the same."""
    return np.ceil(np.round(sums, 9))


def hoeffding(mean: np.ndarray, number: int, goal: float) -> np.ndarray:
    """Hoeffding's p-value from mean losses in 0..1, by the relative entropy of mean and goal."""
    low = np.minimum(mean, goal)
    entropy = xlogy(low, low / goal) + xlogy(1 - low, (1 - low) / (1 - goal))
    return np.exp(-number * entropy)


def upper_bound(total: float, number: int, delta: float, is_binary: bool) -> float:
    """What the mean loss exceeds with a probability of at most `delta`: the test, inverted."""
    if number == 0 or total >= number:
        return 1.0
    if is_binary:
        return float(betaincinv(round(total) + 1, number - round(total), 1 - delta))

    def is_excluded(goal: float) -> bool:
        return bool(p_values(np.array(total), number, goal, False) <= delta)

    return bisected(total / number, 1.0, is_excluded)


def bisected(low: float, high: float, is_excluded: Callable[[float], bool]) -> float:
    """The least value between `low` and `high` that is excluded, rounded up to 1e-9."""
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (low, middle) if is_excluded(middle) else (middle, high)
    return high


def interval(total: float, number: int, confidence: float, is_binary: bool) -> tuple[float, float]:
    """The two-sided interval of the mean loss; 0 to 1 without sources."""
    delta = (1 - confidence) / 2
    high = upper_bound(total, number, delta, is_binary)
    return 1 - upper_bound(number - total, number, delta, is_binary), high


def number_needed(mean: float, goal: float, delta: float, is_binary: bool) -> int | None:
    """The least number of sources of this mean loss that shows the goal at `delta`.

    None if no number does, since the mean is not below the goal, or it is above LARGEST.
    """
    if mean >= goal:
        return None

    def shows(number: int) -> bool:
        # The expected sum rounded up: not a luckier sample than these sources.
        total = math.ceil(round(mean * number, 9)) if is_binary else mean * number
        return bool(p_values(np.array(total), number, goal, is_binary) <= delta)

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
