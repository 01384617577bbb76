"""Flips, turns and transforms by one matrix, of image and mask alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from flexunet_exp.data.augmentation.moving import Move
from flexunet_exp.data.augmentation.transform import (
    Checked,
    Pair,
    Range,
    chance,
    drawn,
    record,
    within,
)
from flexunet_exp.data.channels import by_channels

# OpenCV's copies take a tenth of the time of copying NumPy's mirrored views.
TURNS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}


@dataclass(frozen=True)
class HorizontalFlip(Checked):
    """Mirrors left and right."""

    def __call__(self, image: np.ndarray, mask: np.ndarray, generator: np.random.Generator) -> Pair:
        return by_channels(image, lambda part: cv2.flip(part, 1)), cv2.flip(mask, 1)


@dataclass(frozen=True)
class VerticalFlip(Checked):
    """Mirrors top and bottom."""

    def __call__(self, image: np.ndarray, mask: np.ndarray, generator: np.random.Generator) -> Pair:
        return by_channels(image, lambda part: cv2.flip(part, 0)), cv2.flip(mask, 0)


@dataclass(frozen=True)
class QuarterTurn(Checked):
    """Turns by 90, 180 or 270 degrees; an image that is not square only by 180."""

    probability: float = chance(0.75)

    def __call__(self, image: np.ndarray, mask: np.ndarray, generator: np.random.Generator) -> Pair:
        square = mask.shape[0] == mask.shape[1]
        turns = int(generator.integers(1, 4)) if square else 2
        record(generator, degrees=90 * turns)
        turned = by_channels(image, lambda part: cv2.rotate(part, TURNS[turns]))
        return turned, cv2.rotate(mask, TURNS[turns])


@dataclass(frozen=True)
class Rotation(Move):
    """Turns about the centre by `degrees`, counter-clockwise where positive."""

    degrees: Range = within(-360, 360, (-10, 10))

    def positions(self, height: int, width: int, generator: np.random.Generator) -> np.ndarray:
        angle = math.radians(drawn("degrees", self.degrees, generator))
        sine, cosine = math.sin(angle), math.cos(angle)
        return about_centre(np.array([[cosine, -sine], [sine, cosine]]), height, width)


@dataclass(frozen=True)
class Shear(Move):
    """Slants about the centre, as shares: at 0.1 a row moves sideways by a tenth of its height.

    `horizontal` moves rows to the side, `vertical` (the original program's) columns up and down.
    """

    horizontal: Range = within(-1, 1, (-0.1, 0.1))
    vertical: Range = within(-1, 1, (-0.1, 0.1))

    def positions(self, height: int, width: int, generator: np.random.Generator) -> np.ndarray:
        sideways = np.array([[1, drawn("horizontal", self.horizontal, generator)], [0, 1]])
        upwards = np.array([[1, 0], [drawn("vertical", self.vertical, generator), 1]])
        return about_centre(sideways @ upwards, height, width)


@dataclass(frozen=True)
class Shrink(Move):
    """Makes the picture smaller about its centre, to `factor` of its size."""

    factor: Range = within(0.1, 1, (0.8, 1.0))

    def positions(self, height: int, width: int, generator: np.random.Generator) -> np.ndarray:
        return about_centre(np.eye(2) / drawn("factor", self.factor, generator), height, width)


@dataclass(frozen=True)
class Crop(Move):
    """Cuts out a random rectangle, `share` of each side long, and enlarges it to the whole size."""

    share: Range = within(0.05, 1, (0.7, 1.0))

    def positions(self, height: int, width: int, generator: np.random.Generator) -> np.ndarray:
        share = drawn("share", self.share, generator)
        corner = (1 - share) * np.array([width, height]) * generator.random(2)
        record(generator, left=float(corner[0] / width), top=float(corner[1] / height))
        # Pixel i is centred at i + 1/2 from the picture's edge.
        return np.column_stack([np.eye(2) * share, corner + (share - 1) / 2])


def about_centre(matrix: np.ndarray, height: int, width: int) -> np.ndarray:
    """The matrix (2, 2) applied about the middle of the picture, as (2, 3)."""
    centre = np.array([width - 1, height - 1]) / 2
    return np.column_stack([matrix, centre - matrix @ centre])
