"""Moving pixels: one matrix or one field of positions, for the image and for its mask."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import cv2
import numpy as np

from flexunet_exp.data.augmentation.transform import Checked, Pair, one_of
from flexunet_exp.data.masks import IGNORE


@dataclass(frozen=True)
class Move(Checked):
    """Moves image and mask by the same positions: the image bilinear, the mask to the nearest.

    What lies beyond the edge is the picture's own reflection, for image and mask alike: a defect
    cut by the edge goes on, and no corner is painted in a grey that no part has and then called
    background. With `border: ignore` the mask is 255 there, so that it is not learned from.
    """

    border: str = one_of("reflect", "ignore")

    @abstractmethod
    def positions(self, height: int, width: int, generator: np.random.Generator) -> np.ndarray:
        """Where each pixel comes from, as (x, y): a matrix (2, 3), or a field (H, W, 2) float32."""

    def __call__(self, image: np.ndarray, mask: np.ndarray, generator: np.random.Generator) -> Pair:
        height, width = mask.shape
        positions = self.positions(height, width, generator)
        beyond = cv2.BORDER_REFLECT_101 if self.border == "reflect" else cv2.BORDER_CONSTANT
        return (
            moved(image, positions, cv2.INTER_LINEAR, cv2.BORDER_REFLECT_101),
            moved(mask, positions, cv2.INTER_NEAREST, beyond),
        )


def moved(pixels: np.ndarray, positions: np.ndarray, interpolation: int, beyond: int) -> np.ndarray:
    """The pixels taken from their positions; `beyond` is OpenCV's rule for those outside."""
    if positions.ndim == 3:
        # One map of x and y costs a third less than two; OpenCV's type hints know only two.
        return cv2.remap(  # type: ignore[call-overload]
            pixels, positions, None, interpolation, borderMode=beyond, borderValue=IGNORE
        )
    return cv2.warpAffine(
        pixels,
        positions,
        pixels.shape[1::-1],
        flags=interpolation | cv2.WARP_INVERSE_MAP,
        borderMode=beyond,
        borderValue=IGNORE,
    )
