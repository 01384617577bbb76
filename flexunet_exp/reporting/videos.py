"""Overlays of a volume's slices as a video, a frame a slice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from flexunet_exp.errors import InputError
from flexunet_exp.reporting import panels

Add = Callable[[np.ndarray], None]


def frame(
    image: np.ndarray, mask: np.ndarray, class_names: Sequence[str], palette: np.ndarray
) -> np.ndarray:
    """The overlay above a legend of all classes, so that frames have one size: uint8 (h, w, 3) RGB.

    Height and width are even, as most players of videos expect.
    """
    drawn = panels.overlay(image, mask, palette)
    scale = max(1, min(mask.shape) // 400)
    width = max(mask.shape[1], panels.MIN_COLUMN)
    legend = panels.class_legend(class_names, palette, width // scale)
    legend = legend.repeat(scale, axis=0).repeat(scale, axis=1)
    width += width % 2
    rows = [
        cv2.copyMakeBorder(
            part, 0, 0, 0, width - part.shape[1], cv2.BORDER_CONSTANT, value=panels.PAPER
        )
        for part in (drawn, legend)
    ]
    whole = np.concatenate(rows)
    odd = len(whole) % 2
    return cv2.copyMakeBorder(whole, 0, odd, 0, 0, cv2.BORDER_CONSTANT, value=panels.PAPER)


@contextmanager
def opened(path: Path, fps: int) -> Iterator[Add]:
    """Yields a function that adds a frame (h, w, 3) RGB to an .mp4 or a .gif of `fps` a second.

    The frames of a .gif are in memory until the end, a byte a pixel; those of an .mp4 are not.
    """
    if path.suffix == ".gif":
        frames: list[Image.Image] = []
        yield lambda picture: frames.append(Image.fromarray(picture).quantize())
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=1000 // fps, loop=0)
        return
    writers: list[cv2.VideoWriter] = []
    try:
        yield lambda picture: add(writers, path, fps, picture)
    finally:
        for writer in writers:
            writer.release()


def add(writers: list[cv2.VideoWriter], path: Path, fps: int, picture: np.ndarray) -> None:
    """Writes a frame; the first one opens the writer, which is told its size."""
    if not writers:
        code = cv2.VideoWriter.fourcc(*"mp4v")
        writers.append(cv2.VideoWriter(str(path), code, fps, picture.shape[1::-1]))
        if not writers[0].isOpened():
            raise InputError(
                f"{path}: OpenCV writes no mp4 of this size here. Use volume.video=gif"
            )
    writers[0].write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
