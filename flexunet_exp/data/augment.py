"""Augmentation: each transform turns an image and its mask together, drawing from a generator.

A transform is a dataclass; called with (image, mask, generator) it returns the pair, uint8 still.
Geometric ones move image and mask alike, photometric ones touch the image only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Pair = tuple[np.ndarray, np.ndarray]


class Transform(Protocol):
    """What a transform is: a chance to be used, and a function of the pair."""

    @property
    def probability(self) -> float: ...

    def __call__(
        self, image: np.ndarray, mask: np.ndarray, generator: np.random.Generator
    ) -> Pair: ...


def augment(
    transforms: Sequence[Transform], image: np.ndarray, mask: np.ndarray, key: tuple[int, ...]
) -> Pair:
    """Applies the transforms in order; the result is a pure function of the pair and `key`.

    Each transform fires with its own `probability` and draws from a stream of its own, so that
    adding one to the list leaves what the others draw unchanged.
    """
    for position, transform in enumerate(transforms):
        generator = np.random.default_rng([*key, position])
        if generator.random() < transform.probability:
            image, mask = transform(image, mask, generator)
    return np.ascontiguousarray(image), np.ascontiguousarray(mask)


@dataclass(frozen=True)
class HorizontalFlip:
    """Mirrors left and right."""

    probability: float = 0.5

    def __call__(self, image: np.ndarray, mask: np.ndarray, generator: np.random.Generator) -> Pair:
        return image[:, ::-1], mask[:, ::-1]


@dataclass(frozen=True)
class VerticalFlip:
    """Mirrors top and bottom."""

    probability: float = 0.5

    def __call__(self, image: np.ndarray, mask: np.ndarray, generator: np.random.Generator) -> Pair:
        return image[::-1], mask[::-1]


@dataclass(frozen=True)
class QuarterTurn:
    """Turns by 90, 180 or 270 degrees; an image that is not square only by 180."""

    probability: float = 0.75

    def __call__(self, image: np.ndarray, mask: np.ndarray, generator: np.random.Generator) -> Pair:
        square = mask.shape[0] == mask.shape[1]
        turns = int(generator.integers(1, 4)) if square else 2
        return np.rot90(image, turns), np.rot90(mask, turns)


@dataclass(frozen=True)
class Brightness:
    """Adds up to ±`limit` of full scale to every pixel."""

    probability: float = 0.5
    limit: float = 0.15

    def __call__(self, image: np.ndarray, mask: np.ndarray, generator: np.random.Generator) -> Pair:
        offset = 255 * generator.uniform(-self.limit, self.limit)
        return remap(image, np.arange(256) + offset), mask


@dataclass(frozen=True)
class Contrast:
    """Stretches or flattens around the image's mean by a factor of 1 ± `limit`."""

    probability: float = 0.5
    limit: float = 0.15

    def __call__(self, image: np.ndarray, mask: np.ndarray, generator: np.random.Generator) -> Pair:
        factor = 1 + generator.uniform(-self.limit, self.limit)
        mean = float(image.mean())
        return remap(image, (np.arange(256) - mean) * factor + mean), mask


def remap(image: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The image with grey level v replaced by levels[v], rounded and clipped to 0..255."""
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)[image]
