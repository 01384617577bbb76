"""Moves the pixels of image and mask by one matrix or one field of positions."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import cv2
import numpy as np

from flexunet_exp.data.augmentation.transform import Checked, Pair, one_of
from flexunet_exp.data.channels import by_channels
from flexunet_exp.data.masks import IGNORE


@dataclass(frozen=True)
class Move(Checked):
    """Moves image and mask by the same positions: the image bilinear, the mask to the nearest.

    Beyond the edge, image and mask are reflected alike: a defect at the edge continues, and no
    corner is a constant grey labelled background. With `border: ignore` the mask is 255 there, so
    that the network does not learn from these pixels.
    """

    border: str = one_of("reflect", "ignore")

    @abstractmethod
    def positions(self, height: int, width: int, generator: np.random.Generator) -> np.ndarray:
        """Where each pixel comes from, as (x, y): a matrix (2, 3), or a field (H, W, 2) float32."""

    def __call__(self, image: np.ndarray, mask: np.ndarray, generator: np.random.Generator) -> Pair:
        height, width = mask.shape
        positions = self.positions(height, width, generator)
        beyond = cv2.BORDER_REFLECT_101 if self.border == "reflect" else cv2.BORDER_CONSTANT
        reflect = cv2.BORDER_REFLECT_101
        return (
            by_channels(image, lambda part: moved(part, positions, cv2.INTER_LINEAR, reflect)),
            moved(mask, positions, cv2.INTER_NEAREST, beyond),
        )


def moved(pixels: np.ndarray, positions: np.ndarray, interpolation: int, beyond: int) -> np.ndarray:
    """The pixels taken from their positions; `beyond` is OpenCV's rule outside the picture."""
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
