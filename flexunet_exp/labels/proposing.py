"""Which pictures to label next: those the networks are unsure of, and unlike what is labelled.

Greedy, one picture a round. Its score is the mean of its ranks by each signal; one of them is the
distance to the nearest picture that is labelled or chosen already. This distance is that of the
k-centre greedy choice of core-sets (Sener & Savarese 2018, arXiv:1708.00489).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from flexunet_exp.data.fingerprints import alike
from flexunet_exp.labels import appearance
from flexunet_exp.labels.unsure import Signals


class Candidate(NamedTuple):
    """A picture that can be chosen. `name` orders pictures of equal score."""

    name: str
    signals: Signals
    look: np.ndarray  # of `appearance.look`
    fingerprint: np.ndarray  # of `fingerprints.fingerprint`


class Ranks(NamedTuple):
    """The share of the other pictures, 0 to 1, that a picture exceeds; NaN: signal not known."""

    uncertainty: float
    disagreement: float
    distance: float


class Choice(NamedTuple):
    """A chosen picture, by its place among the candidates, as it stood in its round."""

    place: int
    score: float  # the mean of its ranks
    ranks: Ranks
    distance: float  # grey levels to the nearest labelled or chosen picture; NaN: there was none


@dataclass
class Chosen:
    """The chosen pictures, the first first, and the near copies that were passed over for them."""

    choices: list[Choice] = field(default_factory=list)
    copies: dict[int, int] = field(default_factory=dict)  # place → that of the chosen picture


def choose(candidates: Sequence[Candidate], known: np.ndarray, most: int) -> Chosen:
    """At most `most` of the candidates, none of them a near copy of another.

    `known` are the looks (M, SIDE, SIDE, 2) of labelled pictures, M ≥ 0. The result does not depend
    on the order of the candidates.
    """
    chosen = Chosen()
    if not candidates:
        return chosen
    looks = np.stack([one.look for one in candidates])
    fixed = [shares(values) for values in np.array([one.signals for one in candidates]).T]
    order = sorted(range(len(candidates)), key=lambda place: candidates[place].name)
    far = distance_to_nearest(looks, known)
    while len(chosen.choices) < most and order:
        choice = next_of(order, fixed, far)
        order.remove(choice.place)
        if (original := copied(choice.place, candidates, chosen)) is not None:
            chosen.copies[choice.place] = original
            continue
        chosen.choices.append(choice)
        far = np.fmin(far, distance_to_nearest(looks, looks[choice.place][None]))
    return chosen


def next_of(order: Sequence[int], fixed: Sequence[np.ndarray], far: np.ndarray) -> Choice:
    """The place of `order` with the highest mean rank; the earlier one of equals."""
    places = np.array(order)
    ranks = np.stack([*(values[places] for values in fixed), shares(far[places])])
    scores = np.nanmean(ranks, axis=0)
    best = int(scores.argmax())
    place = order[best]
    return Choice(place, float(scores[best]), Ranks(*ranks[:, best].tolist()), float(far[place]))


def shares(values: np.ndarray) -> np.ndarray:
    """The share of the other values that each exceeds, equal ones by half; NaN stays NaN."""
    if len(values) < 2:
        return np.where(np.isnan(values), np.nan, 0.5)
    return (rankdata(values, nan_policy="omit") - 1) / (len(values) - 1)


def distance_to_nearest(looks: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The distance (N,) of each look to the nearest known one; NaN where none is known."""
    if not len(known):
        return np.full(len(looks), np.nan)
    return appearance.distances(looks, known).min(axis=1)


def copied(place: int, candidates: Sequence[Candidate], chosen: Chosen) -> int | None:
    """The place of a chosen picture of which this one is a near copy; None if there is none."""
    places = [one.place for one in chosen.choices]
    prints = [candidates[one].fingerprint for one in places]
    found = list(alike([candidates[place].fingerprint], prints))
    return places[min(found, key=lambda one: one.distance).second] if found else None
