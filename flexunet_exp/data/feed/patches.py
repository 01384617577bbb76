"""Patches of pictures at full resolution: random ones for training, a grid for validation."""

from __future__ import annotations

import cv2
import numpy as np

from flexunet_exp.data import masks
from flexunet_exp.data.tiles import Pair, Size, padded, starts


def draw(pair: Pair, patch: Size, focus: int, generator: np.random.Generator) -> Pair:
    """A random patch (height, width) of image (H, W, N) and class mask (H, W).

    With a `focus`, a random pixel of that class lies in the inner half of the patch, as far as the
    picture's borders allow; if it lay always in the middle, the network would learn its place.
    A picture smaller than the patch is extended by reflection; the mask is ignored (255) there.
    """
    image, mask = pair
    corner = corner_of(mask, patch, focus, generator)
    return cut(image, mask, corner, patch)


def corner_of(
    mask: np.ndarray, patch: Size, focus: int, generator: np.random.Generator, grid: int = 1
) -> Size:
    """Where a patch begins (top, left): the multiple of `grid` next to the place drawn.

    `grid` must divide the sides of mask and patch.
    """
    last = np.maximum(0, np.subtract(mask.shape, patch))
    places = np.flatnonzero(mask == focus) if focus else ()
    if not len(places):
        top, left = rounded(generator.integers(0, last + 1), grid)
        return int(top), int(left)
    pixel = np.array(np.unravel_index(generator.choice(places), mask.shape))
    inside = (np.array(patch) * generator.uniform(0.25, 0.75, 2)).astype(int)
    corner = rounded(np.clip(pixel - inside, 0, last), grid)
    # Rounding can move a pixel out of a patch of one step of the grid.
    first_with_it = -((patch - pixel - 1) // grid) * grid
    top, left = np.clip(corner, first_with_it, pixel // grid * grid)
    return int(top), int(left)


def rounded(corner: np.ndarray, grid: int) -> np.ndarray:
    return (corner + grid // 2) // grid * grid


def cut(image: np.ndarray, mask: np.ndarray, corner: Size, patch: Size) -> Pair:
    """The patch at `corner` (top, left) of both."""
    rows, columns = (slice(start, start + side) for start, side in zip(corner, patch, strict=True))
    part = mask[rows, columns]
    lacking = np.subtract(patch, part.shape).tolist()
    border = (0, lacking[0], 0, lacking[1], cv2.BORDER_CONSTANT)
    return padded(image[rows, columns], patch), cv2.copyMakeBorder(
        part, *border, value=masks.IGNORE
    )


def repeated(start: int, length: int, tile: int) -> int:
    """The number of a tile's pixels along a side that the tile before it also shows."""
    begins = starts(length, tile, 0)
    place = begins.index(start)
    return begins[place - 1] + tile - start if place else 0


def resized(pair: Pair, size: Size) -> Pair:
    """Image and mask at the network's size (height, width)."""
    return masks.resize_image(pair[0], size), masks.resize_mask(pair[1], size)
