"""A network without TensorFlow, and pictures whose prediction is known.

`python standin.py PHOTOS OUTPUT [module:function NTH]` predicts PHOTOS into OUTPUT, and kills
itself when the function is called for the NTH time.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from flexunet_exp.commands.infer import pipeline
from flexunet_exp.commands.infer.report import Report
from flexunet_exp.commands.infer.volumes import INPUTS
from flexunet_exp.data import find_pictures
from flexunet_exp.data.channels import RGB
from flexunet_exp.prediction.predictor import Predictor
from flexunet_exp.prediction.settings import PredictSettings

NAMES = ("background", "scratch", "dent")
PALETTE = np.array([(0, 0, 0), (255, 0, 0), (0, 0, 255)], np.uint8)
GREYS = {"background": 0, "scratch": 128, "dent": 255}
SIDE = 32


class Brightness:
    """Predicts background for dark pixels, a scratch for grey ones, a dent for bright ones."""

    inputs = (np.zeros(0, np.uint8),)  # pictures of bytes

    def __init__(self):
        self.weights = [np.array(list(GREYS.values()), np.float32)]
        self.sizes: list[int] = []  # of the batches it was asked for

    def predict_on_batch(self, pictures: np.ndarray) -> np.ndarray:
        self.sizes.append(len(pictures))
        return -np.abs(pictures[..., :1].astype(np.float32) - self.weights[0]) / 20


def trained(batch_size: int = 2, **settings) -> SimpleNamespace:
    """The result of `networks.load` for this network, for pictures of 32 × 32 px."""
    predictor = Predictor(Brightness(), (SIDE, SIDE), batch_size)
    as_run = PredictSettings((SIDE, SIDE), "none", 0.25, "none", batch_size, "as_trained")
    return SimpleNamespace(
        bit_depth="auto",
        channels=RGB,
        predictor=predictor,
        class_names=NAMES,
        palette=PALETTE,
        settings=replace(as_run, **settings),
    )


def draw(path: Path, *boxes: tuple[str, int, int, int, int], side: int = SIDE) -> Path:
    """Draws a black picture with boxes (class, left, top, width, height) in the class's grey."""
    picture = np.zeros((side, side), np.uint8)
    for name, left, top, width, height in boxes:
        picture[top : top + height, left : left + width] = GREYS[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path


def infer(photos: Path | list[Path], output: Path, network=None, **options) -> Report:
    words = [str(path) for path in (photos if isinstance(photos, list) else [photos])]
    found = find_pictures.find(words, output, INPUTS)
    chosen = pipeline.Options(**options)
    return pipeline.infer(network or trained(), found, output, chosen, "run A")


if __name__ == "__main__":
    photos, output, *deadly = sys.argv[1:]
    if deadly:
        from tests.support import kill_at

        kill_at.arm(deadly[0], int(deadly[1]))
    infer(Path(photos), Path(output))
