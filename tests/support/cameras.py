"""Raw data sets of a camera that writes some bits of 16."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

LABELS = ("bent", "broken", "glue", "metal_contamination", "thread")  # of grid


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def raw_set(folder: Path, bits: int, number: int = 6) -> Path:
    """`number` pictures (64, 64) of each class of grid, as MVTec AD lays them out.

    The first picture of each class alone shows the whole range of `bits`.
    """
    values = np.linspace(0, 2**bits - 1, 64 * 64).round().astype(np.uint16).reshape(64, 64)
    truth = np.zeros((64, 64), np.uint8)
    truth[20:30, 20:30] = 255
    for label in LABELS:
        for index in range(number):
            dark = values // (index + 1)
            save(folder / f"test/{label}/{index:03}.png", np.roll(dark, 7 * index, 0))
            save(folder / f"ground_truth/{label}/{index:03}_mask.png", truth)
    return folder
