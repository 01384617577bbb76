"""Turns pictures of any size into class probabilities; all commands predict with this module.

A picture is either resized to the network's input as a whole, or cut into overlapping tiles whose
probabilities are blended. In both cases the result comes band by band, from top to bottom, so that
memory grows with a picture's width and not with its area.
"""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from scipy.special import softmax

from flexunet_exp.data import grey_levels, masks
from flexunet_exp.data.tiles import Size, padded, starts, window

Forward = Callable[[np.ndarray], np.ndarray]  # pictures of one size → their probabilities

BAND_VALUES = 2**23  # probabilities in a band, at the most; a band has at least one row


class Band(NamedTuple):
    """Some whole rows of a picture's prediction."""

    top: int  # the first of them
    probabilities: np.ndarray  # (rows, W, C) float32, summing to one


class View(NamedTuple):
    """A mirrored or turned view of a picture, and its inverse."""

    turns: int  # by 90 degrees, counterclockwise
    mirrored: bool  # left to right, before turning

    def of(self, pictures: np.ndarray) -> np.ndarray:
        """The pictures (N, H, W, …) in this view."""
        seen = pictures[:, :, ::-1] if self.mirrored else pictures
        return np.rot90(seen, self.turns, axes=(1, 2))

    def back(self, pictures: np.ndarray) -> np.ndarray:
        turned = np.rot90(pictures, -self.turns, axes=(1, 2))
        return turned[:, :, ::-1] if self.mirrored else turned


# Test-time augmentation: the views whose predictions are averaged.
VIEWS = {
    "none": (View(0, False),),
    "flips": tuple(View(turns, mirrored) for turns in (0, 2) for mirrored in (False, True)),
    "flips_turns": tuple(View(turns, mirrored) for turns in range(4) for mirrored in (False, True)),
}


class Predictor:
    """Predicts pictures with a network.

    `size` (height, width) is what the network takes. Without `tile` a picture is resized to it, and
    its probabilities are resized back bilinearly. With `tile` (height, width in the picture's own
    pixels) this is done to each tile; tiles overlap by the share `overlap` (0 ≤ overlap < 1) or a
    little more. `tta` names the `VIEWS`; `batch_size` pictures or tiles are predicted at once.
    Logits are divided by `temperatures` (C,) before they become probabilities.
    """

    temperatures: np.ndarray | None = None

    def __init__(
        self,
        model: Any,
        size: Size,
        batch_size: int,
        tile: Size | None = None,
        overlap: float = 0.25,
        tta: str = "none",
    ):
        self.model, self.size, self.batch_size = model, size, batch_size
        self.tile, self.overlap, self.views = tile, overlap, VIEWS[tta]
        self.dtype = model.inputs[0].dtype

    def calibrated(self, temperatures: np.ndarray | None) -> Predictor:
        """The same network with other temperatures (C,) float32; None for none."""
        other = copy.copy(self)
        other.temperatures = temperatures
        return other

    def with_network(self, model: Any) -> Predictor:
        """The same settings and temperatures with another network of the same inputs."""
        other = copy.copy(self)
        other.model = model
        return other

    def __call__(self, images: Iterable[np.ndarray]) -> Iterator[Iterator[Band]]:
        """The bands of each image (H, W, N), uint8 or uint16, at its own size, in their order.

        Take all bands of an image before you ask for the next image.
        """
        if self.tile is not None:
            for image in images:
                yield tiled(image, self.tile, self.overlap, self.batch_size, self.tiles)
            return
        iterator = iter(images)
        while batch := list(itertools.islice(iterator, self.batch_size)):
            inputs = np.stack([self.prepared(image) for image in batch])
            for image, probabilities in zip(batch, self.forward(inputs), strict=True):
                yield enlarged(probabilities, image.shape[:2])

    def members(self, images: Iterable[np.ndarray]) -> Iterator[Iterator[tuple[Band, ...]]]:
        """The bands of each image, as an `Ensemble` of one network gives them."""
        for bands in self(images):
            yield ((band,) for band in bands)

    def prepared(self, image: np.ndarray) -> np.ndarray:
        """An image or a tile as the network takes it: its size, and its type of values."""
        return grey_levels.converted(masks.resize_image(image, self.size), self.dtype)

    def tiles(self, tiles: np.ndarray) -> np.ndarray:
        """Probabilities (B, h, w, C) of tiles (B, h, w, N), which the network sees at `size`."""
        inputs = np.stack([self.prepared(tile) for tile in tiles])
        return np.stack([resized(part, tiles.shape[1:3]) for part in self.forward(inputs)])

    def forward(self, inputs: np.ndarray) -> np.ndarray:
        """Probabilities (B, H, W, C) of inputs (B, H, W, N): the mean over the views."""
        total: Any = 0
        for view in self.views:
            logits = self.logits(np.ascontiguousarray(view.of(inputs)))
            if self.temperatures is not None:
                logits = logits / self.temperatures
            total = total + view.back(softmax(logits, axis=-1))
        return total / np.float32(len(self.views))

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        """The network's own output (B, H, W, C) float32 for inputs (B, H, W, N), as one view."""
        # A mirrored model returns the prediction of the whole batch once for each device.
        return np.asarray(self.model.predict_on_batch(inputs), np.float32)[: len(inputs)]


class Ensemble:
    """Predicts with the mean probabilities of several predictors of one batch size and tiling."""

    def __init__(self, predictors: Sequence[Predictor]):
        self.predictors = list(predictors)

    def __call__(self, images: Iterable[np.ndarray]) -> Iterator[Iterator[Band]]:
        """The bands of each image, as `Predictor` gives them."""
        for bands in self.members(images):
            yield map(mean_band, bands)

    def members(self, images: Iterable[np.ndarray]) -> Iterator[Iterator[tuple[Band, ...]]]:
        """The bands of each image: the same rows as each predictor gives them."""
        copies = itertools.tee(images, len(self.predictors))
        members = [predict(copy) for predict, copy in zip(self.predictors, copies, strict=True)]
        for predictions in zip(*members, strict=True):
            yield zip(*predictions, strict=True)


def members_of(predictor: Predictor | Ensemble) -> list[Predictor]:
    """The predictors that predict together; the one of a single network."""
    return predictor.predictors if isinstance(predictor, Ensemble) else [predictor]


def mean_band(bands: Sequence[Band]) -> Band:
    """The mean of the same rows' probabilities."""
    total = sum((band.probabilities for band in bands[1:]), start=bands[0].probabilities)
    return Band(bands[0].top, total / np.float32(len(bands)))


class Prediction(NamedTuple):
    """A whole picture's prediction, without the probabilities of the other classes."""

    mask: np.ndarray  # (H, W) uint8, the most probable class
    certainty: np.ndarray  # (H, W) float16, that class's probability
    anomaly: float  # the highest 1 - p(background)


def collect(bands: Iterable[Band], size: Size) -> Prediction:
    """The prediction of a picture of `size` (height, width) from its bands."""
    mask, certainty = np.empty(size, np.uint8), np.empty(size, np.float16)
    surest = 1.0
    for top, probabilities in bands:
        rows = slice(top, top + len(probabilities))
        mask[rows] = probabilities.argmax(-1)
        # Class by class: several times as fast as NumPy's max over a short last axis.
        certainty[rows] = functools.reduce(np.maximum, np.moveaxis(probabilities, -1, 0))
        surest = min(surest, float(probabilities[..., 0].min()))
    return Prediction(mask, certainty, 1 - surest)


def enlarged(probabilities: np.ndarray, size: Size) -> Iterator[Band]:
    """Probabilities (h, w, C) at another (height, width), bilinear, a band at a time."""
    height, width = size
    rows = max(1, BAND_VALUES // (width * probabilities.shape[-1]))
    if rows >= height:  # nearly always; OpenCV resizes a whole picture ten times as fast
        yield Band(0, resized(probabilities, size))
        return
    wide = resized(probabilities, (probabilities.shape[0], width))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        yield Band(top, interpolated_rows(wide, height, top, bottom))


def interpolated_rows(wide: np.ndarray, height: int, top: int, bottom: int) -> np.ndarray:
    """Rows `top` to `bottom` of `wide` (h, W, C) stretched to `height` rows, as OpenCV would."""
    if len(wide) == height:
        return wide[top:bottom]
    place = (np.arange(top, bottom) + 0.5) * (len(wide) / height) - 0.5
    above = np.clip(np.floor(place).astype(int), 0, len(wide) - 1)
    below = np.minimum(above + 1, len(wide) - 1)
    share = np.clip(place - above, 0, 1).astype(np.float32)[:, None, None]
    rows = wide[below]
    rows -= wide[above]
    rows *= share
    rows += wide[above]
    return rows


def resized(probabilities: np.ndarray, size: Size) -> np.ndarray:
    """Probabilities (h, w, C) at another (height, width), bilinear: they still sum to one."""
    if probabilities.shape[:2] == tuple(size):
        return probabilities
    return cv2.resize(probabilities, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


def tiled(
    image: np.ndarray, tile: Size, overlap: float, batch_size: int, forward: Forward
) -> Iterator[Band]:
    """The prediction of an image (H, W, N) from blended tiles, a row of tiles at a time.

    An image smaller than a tile is reflected at its right and lower border up to the tile's size.
    Only the rows that the next row of tiles also covers are kept: memory grows with the image's
    width and the tile's height.
    """
    height, width = image.shape[:2]
    tops, lefts = starts(height, tile[0], overlap), starts(width, tile[1], overlap)
    weight = np.outer(window(tile[0], overlap), window(tile[1], overlap))[..., None]
    strip: Any = None
    for row, top in enumerate(tops):
        tiles = [padded(image[top : top + tile[0], left : left + tile[1]], tile) for left in lefts]
        for first in range(0, len(lefts), batch_size):
            batch = slice(first, first + batch_size)
            for left, part in zip(lefts[batch], forward(np.stack(tiles[batch])), strict=True):
                if strip is None:
                    strip = np.zeros((tile[0], max(width, tile[1]), part.shape[-1]), np.float32)
                strip[:, left : left + tile[1]] += weight * part
        bottom = tops[row + 1] if row + 1 < len(tops) else height
        finished = strip[: bottom - top, :width]
        yield Band(top, finished / finished.sum(axis=-1, keepdims=True))
        kept = strip[bottom - top :].copy()
        strip[: len(kept)], strip[len(kept) :] = kept, 0
