"""Augmentation: each transform changes an image and its mask, drawing from a generator.

A transform is a dataclass; called with (image, mask, generator) it returns the pair in the
same types: an image of uint8 or uint16, a mask of uint8.
Geometric transforms and warps move image and mask alike, photometric ones change the image only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from flexunet_exp.data.augmentation.geometric import (
    Crop,
    HorizontalFlip,
    QuarterTurn,
    Rotation,
    Shear,
    Shrink,
    VerticalFlip,
)
from flexunet_exp.data.augmentation.pasting import PasteDefect
from flexunet_exp.data.augmentation.photometric import (
    Blur,
    Brightness,
    Contrast,
    Gamma,
    Noise,
    Sharpen,
)
from flexunet_exp.data.augmentation.transform import Draws, Pair, Transform
from flexunet_exp.data.augmentation.warps import Barrel, Distortion, Elastic, Pincushion

__all__ = [
    "Barrel",
    "Blur",
    "Brightness",
    "Contrast",
    "Crop",
    "Distortion",
    "Elastic",
    "Gamma",
    "HorizontalFlip",
    "Noise",
    "Pair",
    "PasteDefect",
    "Pincushion",
    "QuarterTurn",
    "Rotation",
    "Sharpen",
    "Shear",
    "Shrink",
    "Transform",
    "Used",
    "VerticalFlip",
    "augment",
    "traced",
]


class Used(NamedTuple):
    """A transform that was applied: its class and the values drawn for its settings.

    `PasteDefect` adds the list `pasted`, a mapping for each defect.
    """

    name: str
    values: dict[str, Any]


def augment(
    transforms: Sequence[Transform], image: np.ndarray, mask: np.ndarray, key: tuple[int, ...]
) -> Pair:
    """Applies the transforms in order; the result is a pure function of the pair and `key`.

    Each transform is applied with its own `probability` and draws from a stream of its own, so that
    a transform added to the end of the list does not change what the others draw.
    """
    return traced(transforms, image, mask, key)[0]


def traced(
    transforms: Sequence[Transform], image: np.ndarray, mask: np.ndarray, key: tuple[int, ...]
) -> tuple[Pair, list[Used]]:
    """The pair of `augment`, and the transforms that were applied."""
    used = []
    for position, transform in enumerate(transforms):
        draws = Draws([*key, position])
        if draws.random() < transform.probability:
            image, mask = transform(image, mask, draws)
            used.append(Used(type(transform).__name__, draws.values))
    return (np.ascontiguousarray(image), np.ascontiguousarray(mask)), used
