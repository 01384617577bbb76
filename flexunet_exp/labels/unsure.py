"""How unsure networks are of a picture, place by place.

Uncertainty sampling (Settles, Active Learning Literature Survey, 2009) takes the entropy of the
prediction. Disagreement is the mutual information of BALD (Houlsby et al. 2011, arXiv:1112.5745),
with the members of an ensemble in place of draws of the weights. Both are means over *places*. The
mean over a whole picture would say how much of it is background.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from flexunet_exp.labels.compared import Box
from flexunet_exp.scores import by_class
from flexunet_exp.scores.entropy import entropy, mutual_information

LEAST_ENTROPY = 0.5  # bits; of two classes, the surer one then has a probability below 0.89
MOST_SHARE = 0.02  # of the picture that is unsure; a network of few epochs is unsure everywhere
THINNED = 4  # every so many rows and columns decide which pixels are that share
LEAST_SHARE = 5e-5  # of the picture; a smaller place is noise. 52 px of 1024 × 1024
MOST_PLACES = 3  # the places that a picture is judged by


class Maps(NamedTuple):
    """What is kept of a prediction, (H, W) each: 5 bytes a pixel."""

    mask: np.ndarray  # uint8, the most probable class of the members' mean
    entropy: np.ndarray  # float16, bits, of the members' mean
    disagreement: np.ndarray | None  # float16, bits; None for a single network


class Place(NamedTuple):
    """A connected area that is predicted as a defect, or of the picture's most unsure pixels."""

    box: Box
    area: int  # pixels
    entropy: float  # bits, the mean over its pixels
    disagreement: float  # likewise; NaN for a single network


class Signals(NamedTuple):
    """How unsure networks are of a picture; NaN where a signal is not known."""

    uncertainty: float  # bits
    disagreement: float  # bits


def maps_of(members: Sequence[np.ndarray]) -> Maps:
    """The maps of some rows, from the probabilities (rows, W, C) float32 of each member."""
    if len(members) == 1:
        mean, disagreement = members[0], None
        of_mean = entropy(mean)
    else:
        mean = functools.reduce(np.add, members) / np.float32(len(members))
        of_mean = entropy(mean)
        disagreement = mutual_information(members, of_mean).astype(np.float16)
    mask, certainty = np.empty(mean.shape[:2], np.uint8), np.empty(mean.shape[:2], np.float32)
    by_class.most_probable(mean, mask, certainty)
    return Maps(mask, of_mean.astype(np.float16), disagreement)


def joined(parts: Sequence[Maps]) -> Maps:
    """The maps of a picture from those of its bands, the first at the top."""
    masks, entropies, disagreements = zip(*parts, strict=True)
    differs = None if disagreements[0] is None else np.concatenate(disagreements)
    return Maps(np.concatenate(masks), np.concatenate(entropies), differs)


def places(maps: Maps) -> list[Place]:
    """The places of a picture (8 neighbours) that are no noise, the most uncertain first."""
    is_in = ((maps.mask > 0) | is_unsure(maps.entropy)).astype(np.uint8)
    if not is_in.any():
        return []
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(is_in, connectivity=8)
    inside = np.flatnonzero(numbers)
    owners = numbers.ravel()[inside]
    means = [mean_over(values, inside, owners, count) for values in maps[1:]]
    least = max(1, round(LEAST_SHARE * is_in.size))
    kept = [number for number in range(1, count) if stats[number, cv2.CC_STAT_AREA] >= least]
    found = [
        Place(
            Box(*stats[number, :4].tolist()),
            int(stats[number, cv2.CC_STAT_AREA]),
            *(float(mean[number]) for mean in means),
        )
        for number in kept
    ]
    return sorted(found, key=lambda one: (-one.entropy, one.box))


def is_unsure(entropies: np.ndarray) -> np.ndarray:
    """The pixels (H, W) of the highest entropy: about MOST_SHARE, none below LEAST_ENTROPY."""
    some = entropies[::THINNED, ::THINNED].astype(np.float32)
    limit = float(np.quantile(some, 1 - MOST_SHARE, method="lower"))
    return entropies >= max(limit, LEAST_ENTROPY)


def mean_over(
    values: np.ndarray | None, inside: np.ndarray, owners: np.ndarray, count: int
) -> np.ndarray:
    """The mean of a map over each of `count` numbered areas; NaN where there is no map."""
    if values is None:
        return np.full(count, np.nan)
    total = np.bincount(owners, values.ravel()[inside].astype(np.float64), minlength=count)
    return total / np.maximum(np.bincount(owners, minlength=count), 1)


def signals(found: Sequence[Place], has_several: bool) -> Signals:
    """How unsure a picture with these places is: the mean over the MOST_PLACES highest ones.

    A picture with fewer places has zeros in their stead, so that more of them count more. Without
    `has_several` networks, no disagreement is known (NaN), whether there are places or not.
    """
    differs = highest([one.disagreement for one in found]) if has_several else float("nan")
    return Signals(highest([one.entropy for one in found]), differs)


def highest(values: Sequence[float]) -> float:
    return sum(sorted(values, reverse=True)[:MOST_PLACES]) / MOST_PLACES
