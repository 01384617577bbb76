"""Which of two recipes is better on the same test pictures, and whether that is more than chance.

Sources are drawn as in `bootstrap`, class by class, with two corrections for small classes. Of a
class of n sources n - 1 are drawn, each counting n / (n - 1) times: the rescaled bootstrap of
Rao & Wu (1988), without which a variance is too small by the factor (n - 1) / n. The quantiles are
those of Student's t in place of the normal distribution: the expanded percentile interval of
Hesterberg (2015). Its degrees of freedom are the number of sources minus the number of classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from flexunet_exp.scores.bootstrap import MIN_SOURCES, macro_dice

RESAMPLES = 10_000  # so that Holm's correction for ten pairs leaves a p-value below 0.05
LEVEL = 0.05


class Part(NamedTuple):
    """The same N pictures, predicted by S runs of one recipe and T runs of another."""

    first: np.ndarray  # (S, N, C, C) confusion counts
    second: np.ndarray  # (T, N, C, C)
    sources: np.ndarray  # (N,)
    labels: np.ndarray  # (N,) class of each picture


class PairedDifference(NamedTuple):
    """A figure of the first minus that of the second, -1..1, with its 95 % interval.

    `p` is the probability of a difference at least so far from 0 between equal recipes. `p` and
    the interval are NaN where a class has a single source: resampling cannot vary it.
    """

    difference: float
    low: float
    high: float
    p: float
    num_sources: int
    smallest_class: int  # sources of the class with the fewest


def paired_difference(
    parts: Sequence[Part], resamples: int = RESAMPLES, seed: int = 0
) -> PairedDifference:
    """Compare two recipes by their macro Dice: the mean over each one's runs, then over parts.

    Both recipes have the same resamples, so that differences between pictures cancel; pictures of
    one source are drawn together in all parts. Raises ValueError where counts differ in their
    pictures.
    """
    for part in parts:
        if part.first.shape[1:] != part.second.shape[1:]:
            raise ValueError(f"counts of {part.first.shape[1:]} against {part.second.shape[1:]}")
    names, first, place = np.unique(
        np.concatenate([part.sources for part in parts]), return_index=True, return_inverse=True
    )
    labels = np.concatenate([part.labels for part in parts])[first]
    weights = rescaled(labels, resamples, seed)
    places = np.split(place, np.cumsum([len(part.sources) for part in parts])[:-1])
    whole = np.ones((1, len(names)))
    found, drawn = (
        np.mean([difference(*pair, draws) for pair in zip(parts, places, strict=True)], axis=0)
        for draws in (whole, weights)
    )
    return judged(float(found[0]), drawn, labels)


def judged(found: float, drawn: np.ndarray, labels: np.ndarray) -> PairedDifference:
    """A difference with the interval and the p-value that its resamples (R,) give.

    `labels` (n,) are the classes of the sources, which were drawn class by class.
    """
    sizes = np.unique(labels, return_counts=True)[1]
    low, high, p = float("nan"), float("nan"), float("nan")
    if sizes.min() > 1 and np.isfinite(found):
        freedom = int((sizes - 1).sum())
        low, high = expanded_interval(drawn, freedom)
        p = p_value(drawn, freedom)
    return PairedDifference(found, low, high, p, len(labels), int(sizes.min()))


def rescaled(labels: np.ndarray, resamples: int, seed: int = 0) -> np.ndarray:
    """The weight of each source in each resample: (R, n) float64.

    `labels` (n,) are the sources' classes. A class's only source always counts once.
    """
    draw = np.random.default_rng(seed)
    weights = np.ones((resamples, len(labels)))
    for stratum in np.unique(labels):
        members = np.flatnonzero(labels == stratum)
        number = len(members)
        if number > 1:
            drawn = draw.multinomial(number - 1, np.full(number, 1 / number), resamples)
            weights[:, members] = drawn * (number / (number - 1))
    return weights


def difference(part: Part, place: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The difference (R,) in resamples (R, n) of sources; `place` (N,) is each picture's source."""
    first, second = (
        np.mean([macro_dice(of_sources(run, place, weights.shape[1]), weights) for run in runs], 0)
        for runs in (part.first, part.second)
    )
    return first - second


def of_sources(counts: np.ndarray, place: np.ndarray, number: int) -> np.ndarray:
    """The counts (n, C, C) of all pictures of each source."""
    pooled = np.zeros((number, *counts.shape[1:]))
    np.add.at(pooled, place, counts)
    return pooled


def expanded_interval(drawn: np.ndarray, freedom: int) -> tuple[float, float]:
    """The 95 % percentile interval of resamples (R,), with the quantiles of Student's t."""
    tail = 100 * special.ndtr(special.stdtrit(freedom, LEVEL / 2))
    low, high = np.nanpercentile(drawn, [tail, 100 - tail])
    return float(low), float(high)


def p_value(drawn: np.ndarray, freedom: int) -> float:
    """The level at which `expanded_interval` would end at 0."""
    beyond = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    tail = min(0.5, (beyond + 1) / (len(drawn) + 1))
    return float(2 * special.stdtr(freedom, special.ndtri(tail)))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number (Holm 1979); one that is NaN does not count."""
    order = sorted((p, index) for index, p in enumerate(p_values) if not np.isnan(p))
    corrected = [float("nan")] * len(p_values)
    reached = 0.0
    for rank, (p, index) in enumerate(order):
        reached = max(reached, min(1.0, p * (len(order) - rank)))
        corrected[index] = reached
    return corrected


def too_few(result: PairedDifference) -> str:
    """The reason why no verdict is possible; empty where one is."""
    if np.isnan(result.difference):
        return "the figure is not defined on these test pictures"
    if result.num_sources < MIN_SOURCES:
        return f"{result.num_sources} sources, and fewer than {MIN_SOURCES} are too few to tell"
    if result.smallest_class < 2:
        return "a single source of a class, or a single good one: nothing says how much it varies"
    return ""
