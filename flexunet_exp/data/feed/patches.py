"""Patches of pictures at full resolution: drawn to train on, laid side by side to validate."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

import cv2
import numpy as np

from flexunet_exp.data import masks
from flexunet_exp.prediction.predictor import Size, padded, starts

if TYPE_CHECKING:
    from flexunet_exp.data.feed.batches import SampleReader

Pair = tuple[np.ndarray, np.ndarray]

READ_AT_ONCE = 4  # pictures kept while their tiles are taken one after the other


def draw(pair: Pair, patch: Size, focus: int, generator: np.random.Generator) -> Pair:
    """A random patch (height, width) of image (H, W, 3) and class mask (H, W).

    With a `focus`, a random pixel of that class lies in the inner half of the patch, as far as the
    picture's borders allow; always in its very middle, the network would learn the place. What a
    picture smaller than the patch lacks is reflected, and ignored in the mask.
    """
    image, mask = pair
    corner = corner_of(mask, patch, focus, generator)
    return cut(image, mask, corner, patch)


def corner_of(mask: np.ndarray, patch: Size, focus: int, generator: np.random.Generator) -> Size:
    last = np.maximum(0, np.subtract(mask.shape, patch))
    places = np.flatnonzero(mask == focus) if focus else ()
    if not len(places):
        top, left = generator.integers(0, last + 1)
        return int(top), int(left)
    pixel = np.array(np.unravel_index(generator.choice(places), mask.shape))
    inside = (np.array(patch) * generator.uniform(0.25, 0.75, 2)).astype(int)
    top, left = np.clip(pixel - inside, 0, last)
    return int(top), int(left)


def cut(image: np.ndarray, mask: np.ndarray, corner: Size, patch: Size) -> Pair:
    """The patch at `corner` (top, left) of both."""
    rows, columns = (slice(start, start + side) for start, side in zip(corner, patch, strict=True))
    part = mask[rows, columns]
    lacking = np.subtract(patch, part.shape).tolist()
    border = (0, lacking[0], 0, lacking[1], cv2.BORDER_CONSTANT)
    return padded(image[rows, columns], patch), cv2.copyMakeBorder(
        part, *border, value=masks.IGNORE
    )


class Tiles:
    """All pictures of a reader as tiles, each of their pixels once: what validation is shown.

    What a tile shares with the one before it in its row or column is ignored in it.
    `reader` gives pictures at their own size; tiles are `patch` (height, width) of it and resized
    to `size`, as in training.
    """

    def __init__(self, reader: SampleReader, patch: Size, size: Size):
        self.patch, self.size = patch, size
        self.places = [
            (index, top, left)
            for index, sample in enumerate(reader.samples)
            for top in starts(sample.height, patch[0], 0)
            for left in starts(sample.width, patch[1], 0)
        ]
        self.read = lru_cache(READ_AT_ONCE)(reader)
        self.lock = Lock()  # or two threads that begin a picture would both decode it

    def __len__(self) -> int:
        return len(self.places)

    def __call__(self, number: int) -> Pair:
        index, top, left = self.places[number]
        with self.lock:
            image, mask = self.read(index)
        tile, truth = cut(image, mask, (top, left), self.patch)
        truth[: repeated(top, mask.shape[0], self.patch[0])] = masks.IGNORE
        truth[:, : repeated(left, mask.shape[1], self.patch[1])] = masks.IGNORE
        return resized((tile, truth), self.size)


def repeated(start: int, length: int, tile: int) -> int:
    """How many of a tile's pixels along a side the tile before it has shown."""
    begins = starts(length, tile, 0)
    place = begins.index(start)
    return begins[place - 1] + tile - start if place else 0


def resized(pair: Pair, size: Size) -> Pair:
    """Image and mask at the network's size (height, width)."""
    return masks.resize_image(pair[0], size), masks.resize_mask(pair[1], size)
