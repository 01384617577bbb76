"""Maps of values as pictures in one colour scale: black 0, purple, orange, and yellow at its end.

The end is 1, or less for values that stay small; what is above it is yellow, too.
"""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from flexunet_exp.reporting.panels import GAP, INK, LINE, MIN_COLUMN, PAPER, text_strip
from flexunet_exp.system.files import replace_file

# OpenCV's inferno, of evenly rising lightness: (256, 3) uint8 RGB.
COLOURS = cv2.applyColorMap(np.arange(256, dtype=np.uint8), cv2.COLORMAP_INFERNO).reshape(-1, 3)[
    :, ::-1
]


def steps(values: np.ndarray, end: float = 1) -> np.ndarray:
    """Values (H, W) from 0 to `end` in steps of a 255th of it, uint8."""
    shares = np.clip(values.astype(np.float32) / end, 0, 1)
    return np.rint(shares * 255).astype(np.uint8)


def write(path: Path, values: np.ndarray, end: float = 1) -> None:
    """Writes an 8-bit palette PNG: a pixel's index is its value times 255 / `end`."""
    picture = Image.fromarray(steps(values, end))
    picture.putpalette(np.ascontiguousarray(COLOURS).tobytes())
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    replace_file(path, stream.getvalue())


def beside(drawn: np.ndarray, values: np.ndarray, name: str, end: float = 1) -> np.ndarray:
    """A picture (h, w, 3) with the map (H, W) to its right, above its scale: uint8 RGB."""
    column = above_scale(values, name, end)
    height = max(len(drawn), len(column))
    left, right = (
        cv2.copyMakeBorder(one, 0, height - len(one), 0, gap, cv2.BORDER_CONSTANT, value=PAPER)
        for one, gap in ((drawn, GAP), (column, 0))
    )
    return np.concatenate([left, right], axis=1)


def above_scale(values: np.ndarray, name: str, end: float = 1) -> np.ndarray:
    """The map at its own size, above its name and its colours from 0 to `end`."""
    scale = max(1, min(values.shape) // 400)
    width = max(values.shape[1], MIN_COLUMN)
    last = "1" if end == 1 else f"{end:g} or more"
    legend = text_strip(f"{name}, 0", last, width // scale, INK)
    bar = np.repeat(COLOURS[None, np.linspace(0, 255, width // scale).astype(int)], LINE // 2, 0)
    below = cv2.resize(
        np.concatenate([bar, legend]),
        (width, scale * (len(bar) + len(legend))),
        interpolation=cv2.INTER_NEAREST,
    )
    picture = COLOURS[steps(values, end)]
    padded = cv2.copyMakeBorder(
        picture, 0, 0, 0, width - picture.shape[1], cv2.BORDER_CONSTANT, value=PAPER
    )
    return np.concatenate([padded, below])
