"""Defects of training pictures, cut out and pasted into other training pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from flexunet_exp.data.augmentation.transform import Checked, Pair, Range, drawn, one_of, within

MARGIN = 12  # pixels around a defect that are cut out with it, for the blending
KEPT = 64  # pictures whose defects are kept


class Cut(NamedTuple):
    """A defect with the pixels around it."""

    image: np.ndarray  # (h, w, 3)
    region: np.ndarray  # (h, w) bool
    label: int  # its class


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
        self.cuts = lru_cache(KEPT)(lambda row, label: cuts_of(*read(row), label))

    def draw(self, generator: np.random.Generator) -> Cut | None:
        """A defect; None where the drawn picture shows none at this size."""
        places: Sequence[tuple[int, int]] = self.places
        if self.balanced:
            label = self.labels[generator.integers(len(self.labels))]
            places = [place for place in places if place[1] == label]
        found = self.cuts(*places[generator.integers(len(places))])
        return found[generator.integers(len(found))] if found else None


def cuts_of(image: np.ndarray, mask: np.ndarray, label: int) -> list[Cut]:
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
        found.append(Cut(image[rows, columns].copy(), region, label))
    return found


@dataclass(frozen=True)
class PasteDefect(Checked):
    """Pastes defects of other training pictures, turned by `degrees` and scaled by `factor`.

    `number` are pasted, each at a random place that shows background alone. `blend="feather"`
    brings the defect to the brightness of its new place and fades it out over `feather` pixels
    around its mask; `"clone"` is OpenCV's seamless cloning (Pérez et al., "Poisson Image Editing",
    2003), of pictures of 8 bits. The idea: Ghiasi et al., "Simple Copy-Paste" (2021),
    arXiv:2012.07177. Without `donors`, which the feed sets, nothing is pasted.
    """

    number: Range = within(1, 20, (1, 2))
    degrees: Range = within(-360, 360, (-180, 180))
    factor: Range = within(0.2, 5, (0.8, 1.25))
    feather: Range = within(1, 20, 4)
    blend: str = one_of("feather", "clone")
    donors: Donors | None = None

    def bound(self, donors: Donors) -> PasteDefect:
        """The transform with the defects that it pastes."""
        return replace(self, donors=donors)

    def __call__(self, image: np.ndarray, mask: np.ndarray, generator: np.random.Generator) -> Pair:
        if self.donors is None or not self.donors.places:
            return image, mask
        image, mask = image.copy(), mask.copy()
        for _ in range(round(drawn("number", self.number, generator))):
            cut = self.donors.draw(generator)
            angle = drawn("degrees", self.degrees, generator)
            factor = drawn("factor", self.factor, generator)
            if cut is not None:
                self.paste(image, mask, changed(cut, angle, factor), generator)
        return image, mask

    def paste(
        self, image: np.ndarray, mask: np.ndarray, cut: Cut, generator: np.random.Generator
    ) -> None:
        """Changes image and mask, unless the defect is too large or would cover another one."""
        height, width = cut.region.shape
        room = np.subtract(mask.shape, cut.region.shape)
        if (room < 0).any() or not cut.region.any():
            return
        top, left = generator.integers(0, room + 1).tolist()
        rows, columns = slice(top, top + height), slice(left, left + width)
        if mask[rows, columns][cut.region].any():
            return
        if self.blend == "clone" and image.dtype == np.uint8:
            image[rows, columns] = cloned(image[rows, columns], cut)
        else:
            image[rows, columns] = feathered(
                image[rows, columns], cut, drawn("feather", self.feather, generator)
            )
        mask[rows, columns][cut.region] = cut.label


def changed(cut: Cut, degrees: float, factor: float) -> Cut:
    """The defect turned and scaled, in a frame that holds all of it."""
    height, width = cut.region.shape
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, factor)
    cosine, sine = abs(turn[0, 0]), abs(turn[0, 1])
    size = (round(width * cosine + height * sine), round(width * sine + height * cosine))
    turn[:, 2] += [(size[0] - width) / 2, (size[1] - height) / 2]
    if min(size) < 1:
        return cut._replace(region=np.zeros_like(cut.region))
    image = cv2.warpAffine(cut.image, turn, size, borderMode=cv2.BORDER_REFLECT_101)
    region = cv2.warpAffine(cut.region.view(np.uint8), turn, size, flags=cv2.INTER_NEAREST)
    return Cut(image, region.astype(bool), cut.label)


def feathered(under: np.ndarray, cut: Cut, feather: float) -> np.ndarray:
    """The defect over a place (h, w, 3), brought to the brightness around it, faded outside."""
    distance = cv2.distanceTransform((~cut.region).view(np.uint8), cv2.DIST_L2, 3)
    weight = np.clip(1 - distance / feather, 0, 1)[..., None]
    around = (distance > 0) & (distance <= MARGIN)
    shift = 0.0
    if around.any():
        shift = under[around].mean(axis=0) - cut.image[around].mean(axis=0)
    blended = weight * (cut.image + shift) + (1 - weight) * under
    return np.clip(np.rint(blended), 0, np.iinfo(under.dtype).max).astype(under.dtype)


def cloned(under: np.ndarray, cut: Cut) -> np.ndarray:
    """The defect over a place (h, w, 3) by seamless cloning."""
    # OpenCV erodes the mask by three pixels, and keeps the gradients of what is left.
    around = cv2.dilate(cut.region.view(np.uint8), np.ones((11, 11), np.uint8)) * np.uint8(255)
    around[[0, -1]] = around[:, [0, -1]] = 0  # OpenCV needs a free frame
    if not around.any():
        return under
    left, top, width, height = cv2.boundingRect(around)
    centre = (left + width // 2, top + height // 2)
    return cv2.seamlessClone(cut.image, under.copy(), around, centre, cv2.NORMAL_CLONE)
