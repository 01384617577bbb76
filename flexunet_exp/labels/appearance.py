"""How a picture looks, as few numbers, and how far apart two pictures are.

The numbers need no network, so that labelled pictures are compared without predicting them again.
"""

from __future__ import annotations

import cv2
import numpy as np

from flexunet_exp.data import fingerprints, grey_levels
from flexunet_exp.data.channels import grey

SIDE = 16  # cells a side


def look(image: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of the grey levels in each cell: (SIDE, SIDE, 2) float32.

    `image` (H, W, N) is uint8 or uint16; grey levels are 0 to 255.
    """
    levels = grey(grey_levels.as_bytes(image)).astype(np.float32)
    mean, mean_of_squares = (
        cv2.resize(values, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        for values in (levels, levels * levels)
    )
    spread = np.sqrt(np.maximum(mean_of_squares - mean * mean, 0))
    return np.stack([mean, spread], axis=-1)


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How far each look of `first` (N, SIDE, SIDE, 2) is from each of `second` (M, …): (N, M).

    Grey levels: the root mean square difference, of the nearest of the eight views by flips and
    turns. A part that lies in another way looks the same.
    """
    others = second.reshape(len(second), -1).astype(np.float64)
    nearest = np.full((len(first), len(second)), np.inf)
    for view in fingerprints.views(first):
        own = view.reshape(len(first), -1).astype(np.float64)
        squared = (own**2).sum(1)[:, None] + (others**2).sum(1) - 2 * own @ others.T
        nearest = np.minimum(nearest, squared / others.shape[1])
    # Rounded, so that equal distances stay equal wherever a picture stands in the array.
    return np.round(np.sqrt(np.maximum(nearest, 0)), 3)
