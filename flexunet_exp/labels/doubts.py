"""Which labels are probably wrong, from regions that networks predicted without training on them.

Confident learning (Northcutt et al., JAIR 2021, arXiv:1911.00068) for regions in place of pictures:
the probability of each class is divided by the mean that regions labelled with it have, so that
classes which a network finds hard are not doubted for that alone. What then remains for the other
classes, times how often predictions like this one agree with their label, ranks the doubts. The
probability that a label is wrong follows from the same two by Bayes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from flexunet_exp.data.masks import IGNORE
from flexunet_exp.labels.compared import SEEN, Box, Compared, Region, components

EXTRA, UNSEEN, MOVED, CLASS, OUTLINE = KINDS = ("extra", "unseen", "moved", "class", "outline")
# The share of labels that are wrong, before anything is predicted: the mean over ten common test
# sets (Northcutt, Athalye and Mueller 2021, arXiv:2103.14749).
WRONG = 0.033
NEIGHBOURS = 20  # regions of the nearest size that say how often predictions agree with labels
LEAST_OF_CLASS = 5  # regions of a class, for it to speak for itself
FAR, LEAST_FAR = 3.0, 3.0  # times the median distance of outlines, and at least so many pixels
NEAR, ALIKE = 2.0, 2.0  # a moved label: longer sides between the centres; factor between the areas
LEAST_CONFLICT = 0.5  # another class is then more probable than that of the label


class Doubt(NamedTuple):
    """A label that is probably wrong. Class 0 is background."""

    picture: int
    kind: str
    label: int  # what the truth has
    proposed: int  # what the prediction has
    box: Box
    area: int
    score: float  # 0..1, by which doubts are ranked
    probability: float  # 0..1, an estimate that the label is wrong
    distance: float  # of outlines, or of a moved label's centres, pixels; NaN for other kinds


class Found(NamedTuple):
    """The doubts, the highest score first, and what outlines are measured against."""

    doubts: list[Doubt]
    median_distance: float  # of the outlines of all seen defects, pixels; NaN if none is seen


class Item(NamedTuple):
    picture: int
    region: Region


Place = tuple[int, int, Box]  # picture, class and box of a label


def find(pictures: Sequence[Compared], classes: int) -> Found:
    """The doubts of pictures with `classes` classes, background among them."""
    items = [Item(number, one) for number, of in enumerate(pictures) for one in of.regions]
    true = [item for item in items if item.region.is_true]
    predicted = [item for item in items if not item.region.is_true]
    thresholds = confidences(pictures, classes)
    distances = [item.region.distance for item in true]
    median = float(np.nanmedian(distances)) if np.isfinite(distances).any() else float("nan")
    doubted = [*extras(predicted, thresholds), *of_truth(true, thresholds, median)]
    found = joined(doubted, {place_of(item) for item in true if item.region.met < SEEN})
    found.sort(key=lambda one: (-one.score, one.picture, one.box))
    return Found(found, median)


def confidences(pictures: Sequence[Compared], classes: int) -> np.ndarray:
    """The mean probability (C,) of each class where it is the label, at least 0.01.

    A class without a label has the mean of the other defect classes.
    """
    own: list[list[float]] = [[] for _ in range(classes)]
    own[0] = [one.background for one in pictures if np.isfinite(one.background)]
    for region in (one for picture in pictures for one in picture.regions if one.is_true):
        own[region.label].append(region.probabilities[region.label])
    every = [value for values in own[1:] for value in values] or [0.5]
    means = [np.mean(values or every) for values in own]
    return np.maximum(means, 0.01)


def conflict(region: Region, label: int, thresholds: np.ndarray) -> tuple[float, int]:
    """How probable the other classes are, 0..1, and the most probable of them."""
    shares = np.array(region.probabilities) / thresholds
    shares /= shares.sum()
    others = np.where(np.arange(len(shares)) == label, -1, shares)
    return 1 - float(shares[label]), int(others.argmax())


def extras(predicted: Sequence[Item], thresholds: np.ndarray) -> list[Doubt]:
    """Predicted regions where the truth has none."""
    mass = np.array([one.region.area * one.region.probabilities[one.region.label] for one in
                     predicted])  # fmt: skip
    meets = np.array([one.region.met >= SEEN for one in predicted])
    labels = np.array([one.region.label for one in predicted])
    found = []
    for place, (picture, region) in enumerate(predicted):
        if meets[place]:
            continue
        much, _ = conflict(region, 0, thresholds)
        if much >= LEAST_CONFLICT:
            trust = weighed(much, agreement(mass, meets, labels, place))
            kept = (EXTRA, 0, region.label, region.box, region.area, *trust, float("nan"))
            found.append(Doubt(picture, *kept))
    return found


def of_truth(true: Sequence[Item], thresholds: np.ndarray, median: float) -> list[Doubt]:
    """True regions that are not seen, have another class, or another outline."""
    area = np.array([one.region.area for one in true], float)
    seen = np.array([one.region.met >= SEEN for one in true])
    labels = np.array([one.region.label for one in true])
    called = np.array([conflict_free(one.region, thresholds) for one in true], int)
    limit = max(FAR * median, LEAST_FAR)
    near = sum(one.region.distance <= limit for one in true)
    found = []
    for place, (picture, region) in enumerate(true):
        much, other = conflict(region, region.label, thresholds)
        if much >= LEAST_CONFLICT and other == 0:
            kind, reliable = UNSEEN, agreement(area, seen, labels, place)
        elif much >= LEAST_CONFLICT:
            kind, reliable = CLASS, naming(seen, labels, called, place)
        elif region.distance > limit:
            kind, other, reliable = OUTLINE, region.label, (near + 1) / (np.sum(seen) + 2)
            much = 1 - limit / region.distance / 2
        else:
            continue
        distance = region.distance if kind == OUTLINE else float("nan")
        trust = weighed(much, reliable)
        kept = (kind, region.label, other, region.box, region.area, *trust, distance)
        found.append(Doubt(picture, *kept))
    return found


def place_of(item: Item) -> Place:
    return item.picture, item.region.label, item.region.box


def joined(found: Sequence[Doubt], unmet: Collection[Place]) -> list[Doubt]:
    """The doubts, where an unseen label and an extra region like it beside it are one moved label.

    Its box is around both. Its score and probability are that at least one of the two is right.
    Only `unmet` labels: the export finds a moved label again by its meeting no predicted region.
    """
    rest = list(found)
    pairs = [
        (gap, unseen, extra)
        for unseen in found
        if unseen.kind == UNSEEN and (unseen.picture, unseen.label, unseen.box) in unmet
        for extra in found
        if extra.kind == EXTRA and (gap := moved_by(unseen, extra)) is not None
    ]
    for gap, unseen, extra in sorted(pairs, key=lambda pair: pair[0]):
        if unseen in rest and extra in rest:
            rest.remove(unseen)
            rest[rest.index(extra)] = unseen._replace(
                kind=MOVED,
                proposed=unseen.label,
                box=around(unseen.box, extra.box),
                score=either(unseen.score, extra.score),
                probability=either(unseen.probability, extra.probability),
                distance=gap,
            )
    return rest


def either(first: float, second: float) -> float:
    """The probability of one event or another, if they are independent."""
    return 1 - (1 - first) * (1 - second)


def moved_by(unseen: Doubt, extra: Doubt) -> float | None:
    """Pixels between the centres, if the extra region may be the unseen label at its place."""
    if (unseen.picture, unseen.label) != (extra.picture, extra.proposed):
        return None
    if max(unseen.area, extra.area) > ALIKE * min(unseen.area, extra.area):
        return None
    gap = float(np.hypot(*(np.array(centre(unseen.box)) - centre(extra.box))))
    longest = max(*unseen.box[2:], *extra.box[2:])
    return gap if gap <= NEAR * longest else None


def centre(box: Box) -> tuple[float, float]:
    return box.left + box.width / 2, box.top + box.height / 2


def around(first: Box, second: Box) -> Box:
    """The smallest box that holds both."""
    left, top = min(first.left, second.left), min(first.top, second.top)
    right = max(first.left + first.width, second.left + second.width)
    bottom = max(first.top + first.height, second.top + second.height)
    return Box(left, top, right - left, bottom - top)


def holds(outer: Box, inner: Box) -> bool:
    return around(outer, inner) == outer


def conflict_free(region: Region, thresholds: np.ndarray) -> int:
    """The most probable class of a region, by its thresholds."""
    return int((np.array(region.probabilities) / thresholds).argmax())


def agreement(sizes: np.ndarray, agrees: np.ndarray, labels: np.ndarray, place: int) -> float:
    """The share of the regions of the nearest size that agree with the other side, 0..1.

    Of the same class where it has enough; the region itself does not count.
    """
    same = np.flatnonzero(labels == labels[place])
    pool = same if len(same) > LEAST_OF_CLASS else np.arange(len(labels))
    pool = pool[pool != place]
    away = np.abs(np.log(sizes[pool] + 1) - np.log(sizes[place] + 1))
    nearest = pool[np.argsort(away, kind="stable")[:NEIGHBOURS]]
    return (np.count_nonzero(agrees[nearest]) + 1) / (len(nearest) + 2)


def naming(seen: np.ndarray, labels: np.ndarray, called: np.ndarray, place: int) -> float:
    """The share of the other seen regions that are called by their label, 0..1.

    Of the same class where it has enough.
    """
    others = np.flatnonzero(seen & (np.arange(len(seen)) != place))
    same = others[labels[others] == labels[place]]
    pool = same if len(same) >= LEAST_OF_CLASS else others
    return (np.count_nonzero(called[pool] == labels[pool]) + 1) / (len(pool) + 2)


def contradicted(agrees: float) -> float:
    """The probability, 0..1, that a label is wrong which its prediction contradicts.

    `agrees` is the share of predictions like this one that agree with their label. A wrong label is
    always contradicted, a right one as often as they disagree.
    """
    return WRONG / (WRONG + (1 - WRONG) * (1 - agrees))


def weighed(conflict: float, agrees: float) -> tuple[float, float]:
    """Score and probability of a doubt, 0..1 each.

    `agrees` is how often predictions like this one agree with their label.
    """
    return float(conflict * agrees), float(conflict * contradicted(agrees))


def expected_precision(doubts: Sequence[Doubt]) -> np.ndarray:
    """The share of wrong labels to expect among the first 1, 2 … of ranked doubts."""
    return np.cumsum([one.probability for one in doubts]) / np.arange(1, len(doubts) + 1)


class Mended(NamedTuple):
    """The labels of a picture as its doubts propose them."""

    labels: np.ndarray  # (H, W) uint8
    left_out: list[Doubt]  # those that no region of the truth or of the prediction fits


def mended(truth: np.ndarray, mask: np.ndarray, doubts: Sequence[Doubt]) -> Mended:
    """The truth (H, W) as the doubts propose it, with regions of the predicted mask (H, W).

    As in `compare`, ignored pixels are of no predicted region; they stay ignored.
    """
    found = Mended(truth.copy(), [])
    mask = np.where(truth == IGNORE, 0, mask).astype(np.uint8)
    on_truth = {(label, box): pixels for label, box, pixels in components(truth)}
    on_mask = {(label, box): pixels for label, box, pixels in components(mask)}
    for one in doubts:
        is_drawn = False
        if one.kind == MOVED:
            is_drawn = move(found.labels, truth, mask, one)
        elif one.kind == EXTRA and (pixels := on_mask.get((one.proposed, one.box))) is not None:
            add(found.labels, one.proposed, one.box, pixels)
            is_drawn = True
        elif (pixels := on_truth.get((one.label, one.box))) is not None:
            is_drawn = redraw(found.labels, mask, one, pixels)
        if not is_drawn:
            found.left_out.append(one)
    return found


def add(labels: np.ndarray, label: int, box: Box, pixels: np.ndarray) -> None:
    """Draws a region where nothing is: what somebody has drawn stays."""
    view = labels[box.place]
    view[pixels & (view == 0)] = label


def move(labels: np.ndarray, truth: np.ndarray, mask: np.ndarray, one: Doubt) -> bool:
    """Removes the unseen regions of a moved label's class in its box, and draws the extra ones.

    Returns whether there are both.
    """
    unseen, extra = unmet(truth, mask, one), unmet(mask, truth, one)
    for box, pixels in unseen:
        labels[box.place][pixels] = 0
    for box, pixels in extra:
        add(labels, one.label, box, pixels)
    return bool(unseen and extra)


def unmet(mask: np.ndarray, other: np.ndarray, one: Doubt) -> list[tuple[Box, np.ndarray]]:
    """The regions of a moved label's class in its box that meet no defect of `other` (H, W)."""
    return [
        (box, pixels)
        for label, box, pixels in components(mask)
        if label == one.label and holds(one.box, box) and not seen_in(other, box, pixels)
    ]


def seen_in(other: np.ndarray, box: Box, pixels: np.ndarray) -> bool:
    """Whether a region meets a defect of another mask (H, W)."""
    return bool(np.count_nonzero(other[box.place][pixels]) >= SEEN * np.count_nonzero(pixels))


def redraw(labels: np.ndarray, mask: np.ndarray, one: Doubt, pixels: np.ndarray) -> bool:
    """Replaces a true region, `pixels` of its box, by what its doubt proposes.

    Returns False for an outline that no predicted region can replace: it stays as it is drawn.
    """
    view = labels[one.box.place]
    if one.kind != OUTLINE:
        view[pixels] = one.proposed
        return True
    parts = meeting(mask, one, pixels)
    if parts:
        view[pixels] = 0
    for box, part in parts:
        add(labels, one.label, box, part)
    return bool(parts)


def meeting(mask: np.ndarray, one: Doubt, pixels: np.ndarray) -> list[tuple[Box, np.ndarray]]:
    """The regions of a mask (H, W) that have the class of a label and meet it.

    `pixels` are those of the label within its box.
    """
    whole = np.zeros(mask.shape, bool)
    whole[one.box.place] = pixels
    return [
        (box, part)
        for label, box, part in components(mask)
        if label == one.label and (whole[box.place] & part).any()
    ]
