"""Positions and weights of tiles on a picture, and the padding of a small picture."""

from __future__ import annotations

import math

import cv2
import numpy as np

from flexunet_exp.data.channels import by_channels

Size = tuple[int, int]  # height, width


def starts(length: int, tile: int, overlap: float) -> list[int]:
    """Starts of tiles along a side: evenly spaced, covering all of it, the last at its end."""
    if length <= tile:
        return [0]
    stride = max(1, math.floor(tile * (1 - overlap)))
    steps = math.ceil((length - tile) / stride)
    return [round(step * (length - tile) / steps) for step in range(steps + 1)]


def window(tile: int, overlap: float) -> np.ndarray:
    """The weight (tile,) of a tile's pixels: rising and falling smoothly over the overlap.

    The weight is above 0 everywhere, so that every pixel gets a prediction. Where two tiles overlap
    by exactly `overlap`, their weights sum to 1 (sin² + cos²).
    """
    ramp = min(round(tile * overlap), tile // 2)
    weight = np.ones(tile, np.float32)
    if ramp:
        rise = np.sin((np.arange(ramp) + 0.5) * (np.pi / (2 * ramp))) ** 2
        weight[:ramp], weight[tile - ramp :] = rise, rise[::-1]
    return weight


def padded(image: np.ndarray, size: Size) -> np.ndarray:
    """The image reflected at its right and lower border up to `size`."""
    lacking = [max(0, wanted - found) for wanted, found in zip(size, image.shape[:2], strict=True)]
    border = (0, lacking[0], 0, lacking[1], cv2.BORDER_REFLECT_101)
    return by_channels(image, lambda part: cv2.copyMakeBorder(part, *border))


Pair = tuple[np.ndarray, np.ndarray]
