"""Defects of training pictures, cut out and pasted into other training pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np

from flexunet_exp.data import grey_levels
from flexunet_exp.data.augmentation.transform import (
    Checked,
    Pair,
    Range,
    Transform,
    one_of,
    record,
    uniform,
    within,
)
from flexunet_exp.data.channels import by_channels

MARGIN = 12  # pixels around a defect that are cut out with it, for the blending
KEPT = 64  # pictures whose defects are kept


class Cut(NamedTuple):
    """A defect with the pixels around it."""

    image: np.ndarray  # (h, w, N)
    region: np.ndarray  # (h, w) bool
    others: np.ndarray  # (h, w) bool: other defects, and ignored pixels, which are not pasted
    label: int  # its class
    row: int = 0  # of the picture that it is cut from


class Donors:
    """The defects of a training split: drawn picture by picture, by class where `balanced`.

    `read` gives image and mask of a row at the size at which defects are pasted; `shows` (N, C) is
    true where a row shows a class.
    """

    def __init__(self, read: Callable[[int], Pair], shows: np.ndarray, balanced: bool):
        self.balanced = balanced
        pairs = np.argwhere(np.asarray(shows, bool)[:, 1:])
        self.places = [(int(row), int(label) + 1) for row, label in pairs]
        self.labels = sorted({label for _, label in self.places})
        self.cuts = lru_cache(KEPT)(lambda row, label: cuts_of(*read(row), label, row))

    def draw(self, generator: np.random.Generator) -> Cut | None:
        """A defect; None where the drawn picture shows none at this size."""
        places: Sequence[tuple[int, int]] = self.places
        if self.balanced:
            label = self.labels[generator.integers(len(self.labels))]
            places = [place for place in places if place[1] == label]
        found = self.cuts(*places[int(generator.integers(len(places)))])
        return found[generator.integers(len(found))] if found else None


def bound(transforms: Sequence[Transform], donors: Donors) -> list[Transform]:
    """The transforms, with the defects that they paste."""
    return [one.bound(donors) if isinstance(one, PasteDefect) else one for one in transforms]


def cuts_of(image: np.ndarray, mask: np.ndarray, label: int, row: int = 0) -> list[Cut]:
    """Each connected area (8 neighbours) of a class, with the pixels around it."""
    number, areas, stats, _ = cv2.connectedComponentsWithStats(
        (mask == label).view(np.uint8), connectivity=8
    )
    found = []
    for area in range(1, number):
        left, top, width, height = stats[area, :4].tolist()
        rows = slice(max(0, top - MARGIN), top + height + MARGIN)
        columns = slice(max(0, left - MARGIN), left + width + MARGIN)
        region = areas[rows, columns] == area
        others = (mask[rows, columns] != 0) & ~region
        found.append(Cut(image[rows, columns].copy(), region, others, label, row))
    return found


@dataclass(frozen=True)
class PasteDefect(Checked):
    """Pastes defects of other training pictures, turned by `degrees` and scaled by `factor`.

    `number` are pasted, each at a random place that shows background alone. `blend="feather"`
    brings the defect to the brightness of its new place and fades it out over `feather` pixels
    around its mask; `"clone"` is OpenCV's seamless cloning (Pérez et al., "Poisson Image Editing",
    2003), for RGB pictures of 8 bits and defects that neither the edge of their picture nor another
    defect cuts off. The idea: Ghiasi et al., "Simple Copy-Paste" (2021), arXiv:2012.07177. Without
    `donors`, which the feed and `prepare` set, nothing is pasted.
    """

    number: Range = within(1, 20, (1, 2))
    degrees: Range = within(-360, 360, (-180, 180))
    factor: Range = within(0.2, 5, (0.8, 1.25))
    feather: Range = within(1, 20, 4)
    blend: str = one_of("feather", "clone")
    donors: Donors | None = field(default=None, init=False)

    def bound(self, donors: Donors) -> PasteDefect:
        """The transform with the defects that it pastes."""
        transform = copy(self)
        object.__setattr__(transform, "donors", donors)  # it is frozen
        return transform

    def __call__(self, image: np.ndarray, mask: np.ndarray, generator: np.random.Generator) -> Pair:
        pasted: list[dict[str, Any]] = []
        if self.donors is not None and self.donors.places:
            image, mask = image.copy(), mask.copy()
            for _ in range(round(uniform(self.number, generator))):
                pasted += self.drawn(image, mask, self.donors, generator)
        record(generator, number=len(pasted), pasted=pasted)
        return image, mask

    def drawn(
        self, image: np.ndarray, mask: np.ndarray, donors: Donors, generator: np.random.Generator
    ) -> list[dict[str, Any]]:
        """Pastes a random defect into image and mask; what was pasted, nothing or one defect."""
        cut = donors.draw(generator)
        turn = {"degrees": uniform(self.degrees, generator)}
        turn["factor"] = uniform(self.factor, generator)
        if cut is None:
            return []
        place = self.paste(image, mask, changed(cut, **turn), generator)
        return [{"row": cut.row, "label": cut.label, **place, **turn}] if place else []

    def paste(
        self, image: np.ndarray, mask: np.ndarray, cut: Cut, generator: np.random.Generator
    ) -> dict[str, float]:
        """Changes image and mask, and returns where.

        Changes nothing where the defect is too large, or would cover or blend into another one.
        """
        height, width = cut.region.shape
        room = np.subtract(mask.shape, cut.region.shape)
        if (room < 0).any() or not cut.region.any():
            return {}
        top, left = generator.integers(0, room + 1).tolist()
        place = (slice(top, top + height), slice(left, left + width))
        cut = cut._replace(image=grey_levels.converted(cut.image, image.dtype))
        told: dict[str, float] = {"top": top, "left": left}
        can_clone = image.dtype == np.uint8 and image.shape[2] == 3
        area = cloned_area(cut) if self.blend == "clone" and can_clone else None
        if area is None:
            told["feather"] = uniform(self.feather, generator)
        weight = feathering(cut, told["feather"]) if area is None else area
        if mask[place][weight > 0].any():
            return {}
        blended = feathered if area is None else cloned
        image[place] = blended(image[place], cut, weight)
        mask[place][cut.region] = cut.label
        return told


def changed(cut: Cut, degrees: float, factor: float) -> Cut:
    """The defect turned and scaled, in a frame that holds all of it."""
    height, width = cut.region.shape
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, factor)
    cosine, sine = abs(turn[0, 0]), abs(turn[0, 1])
    size = (round(width * cosine + height * sine), round(width * sine + height * cosine))
    turn[:, 2] += [(size[0] - width) / 2, (size[1] - height) / 2]
    if min(size) < 1:
        return cut._replace(region=np.zeros_like(cut.region))
    beyond = cv2.BORDER_REFLECT_101
    image = by_channels(cut.image, lambda part: cv2.warpAffine(part, turn, size, borderMode=beyond))
    region, others = (
        cv2.warpAffine(one.view(np.uint8), turn, size, flags=cv2.INTER_NEAREST).astype(bool)
        for one in (cut.region, cut.others)
    )
    return cut._replace(image=image, region=region, others=others)


def feathering(cut: Cut, feather: float) -> np.ndarray:
    """The share (h, w) that the cut has in each pixel: 1 in the defect, fading out around it."""
    distance = cv2.distanceTransform((~cut.region).view(np.uint8), cv2.DIST_L2, 3)
    return np.where(cut.others, 0, np.clip(1 - distance / feather, 0, 1))


def feathered(under: np.ndarray, cut: Cut, weight: np.ndarray) -> np.ndarray:
    """The defect over a place (h, w, N), brought to the brightness around it."""
    distance = cv2.distanceTransform((~cut.region).view(np.uint8), cv2.DIST_L2, 3)
    around = (distance > 0) & (distance <= MARGIN) & ~cut.others
    shift = 0.0
    if around.any():
        shift = under[around].mean(axis=0) - cut.image[around].mean(axis=0)
    share = weight[..., None]
    blended = share * (cut.image + shift) + (1 - share) * under
    return np.clip(np.rint(blended), 0, np.iinfo(under.dtype).max).astype(under.dtype)


def cloned_area(cut: Cut) -> np.ndarray | None:
    """The mask (h, w) for OpenCV's cloning, 255 where it reads; None where it would cut pixels off.

    OpenCV needs a free frame and erodes the mask by three pixels. A defect at the edge of its
    picture, or beside another one, would lose pixels there and fade towards them.
    """
    area = cv2.dilate(cut.region.view(np.uint8), np.ones((11, 11), np.uint8)) * np.uint8(255)
    area[cut.others] = 0
    area[[0, -1]] = area[:, [0, -1]] = 0
    is_read = cv2.erode(area, np.ones((7, 7), np.uint8)) > 0
    return area if is_read[cut.region].all() else None


def cloned(under: np.ndarray, cut: Cut, area: np.ndarray) -> np.ndarray:
    """The defect over a place (h, w, 3) by seamless cloning."""
    left, top, width, height = cv2.boundingRect(area)
    centre = (left + width // 2, top + height // 2)
    return cv2.seamlessClone(cut.image, under.copy(), area, centre, cv2.NORMAL_CLONE)
