"""Turns pictures of any size into class probabilities; all commands predict with this module.

A picture is either resized to the network's input as a whole, or cut into overlapping tiles whose
probabilities are blended. In both cases the result comes band by band, from top to bottom, so that
memory grows with a picture's width and not with its area.
"""

from __future__ import annotations

import copy
import itertools
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np

from flexunet_exp.data import grey_levels, masks
from flexunet_exp.data.tiles import Size, padded, starts, window
from flexunet_exp.prediction.kept_logits import KeptLogits
from flexunet_exp.scores import by_class
from flexunet_exp.system import tensorflow
from flexunet_exp.system.parallel import Places

Forward = Callable[[list[np.ndarray]], list[np.ndarray]]  # tiles → their probabilities

Item = TypeVar("Item")

BAND_VALUES = 2**23  # probabilities in a band, at the most; a band has at least one row
# Of a small network on CPUs: each uses the cores that the other leaves idle between its operations.
PASSES = 2
SHARED_PIXELS = 2**20  # of a batch, at most; larger ones run alone, since each needs its own memory


class Band(NamedTuple):
    """Some whole rows of a picture's prediction."""

    top: int  # the first of them
    probabilities: np.ndarray  # (rows, W, C) float32, summing to one


class Ready(NamedTuple):
    """A picture as a predictor takes it."""

    size: Size  # (height, width) of the picture
    pixels: np.ndarray  # at the network's size; the picture itself where it is cut into tiles


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
    kept: KeptLogits | None = None

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
        self.turned: Any = None  # Keras's function for turned pictures of unequal sides
        self.places = Places(1 if tensorflow.has_gpu() else PASSES)

    def calibrated(self, temperatures: np.ndarray | None) -> Predictor:
        """The same network with other temperatures (C,) float32; None for none."""
        other = copy.copy(self)
        other.temperatures = temperatures
        return other

    def keeping(self) -> Predictor:
        """The same network, which does not compute a batch again; for one thread."""
        other = copy.copy(self)
        other.kept = KeptLogits()
        return other

    def with_network(self, model: Any) -> Predictor:
        """The same settings and temperatures with another network of the same inputs."""
        other = copy.copy(self)
        other.model, other.turned, other.kept = model, None, None
        return other

    def __call__(self, images: Iterable[np.ndarray]) -> Iterator[Iterator[Band]]:
        """The bands of each image (H, W, N), uint8 or uint16, at its own size, in their order."""
        return self.bands(map(self.ready, images))

    def ready(self, image: np.ndarray) -> Ready:
        """An image (H, W, N) as `bands` takes it; any thread may call it."""
        pixels = self.prepared(image) if self.tile is None else image
        return Ready((image.shape[0], image.shape[1]), pixels)

    def bands(self, pictures: Iterable[Ready]) -> Iterator[Iterator[Band]]:
        """The bands of each picture, which any thread may take, then or later.

        The network sees whole pictures when the next picture is asked for, and tiles when their
        bands are taken.
        """
        if self.tile is not None:
            for _, image in pictures:
                yield tiled(image, self.tile, self.overlap, self.batch_size, self.tiles)
            return
        for batch in batches(pictures, self.batch_size):
            seen = self.seen(np.stack([one.pixels for one in batch]))
            for place, one in enumerate(batch):
                yield self.whole([logits[place : place + 1] for logits in seen], one.size)

    def whole(self, seen: Sequence[np.ndarray], size: Size) -> Iterator[Band]:
        """The bands of a picture of `size` from the logits (1, H, W, C) of its views."""
        yield from enlarged(self.probabilities(seen)[0], size)

    def members(self, pictures: Iterable[Ready]) -> Iterator[Iterator[tuple[Band, ...]]]:
        """The bands of each picture, as an `Ensemble` of one network gives them."""
        for bands in self.bands(pictures):
            yield ((band,) for band in bands)

    def prepared(self, image: np.ndarray) -> np.ndarray:
        """An image or a tile as the network takes it: its size, and its type of values."""
        return grey_levels.converted(masks.resize_image(image, self.size), self.dtype)

    def tiles(self, tiles: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Probabilities (h, w, C) of tiles (h, w, N), which the network sees at `size`."""
        inputs = np.stack([self.prepared(tile) for tile in tiles])
        return [resized(part, tiles[0].shape[:2]) for part in self.forward(inputs)]

    def forward(self, inputs: np.ndarray) -> np.ndarray:
        """Probabilities (B, H, W, C) of inputs (B, H, W, N): the mean over the views."""
        return self.probabilities(self.seen(inputs))

    def seen(self, inputs: np.ndarray) -> list[np.ndarray]:
        """The logits (B, H, W, C) of each view of inputs (B, H, W, N)."""
        return [self.logits(np.ascontiguousarray(view.of(inputs))) for view in self.views]

    def probabilities(self, seen: Sequence[np.ndarray]) -> np.ndarray:
        """The mean of the probabilities (B, H, W, C) of the views that have these logits."""
        parts = [
            view.back(by_class.softmax(self.cooled(logits)))
            for view, logits in zip(self.views, seen, strict=True)
        ]
        if len(parts) == 1:
            return parts[0]
        return sum(parts[1:], start=parts[0]) / np.float32(len(parts))

    def cooled(self, logits: np.ndarray) -> np.ndarray:
        """The logits divided by the temperatures, if there are any."""
        return logits if self.temperatures is None else logits / self.temperatures

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        """The network's own output (B, H, W, C) float32 for inputs (B, H, W, N), as one view."""
        return self.kept.of(inputs, self.computed) if self.kept else self.computed(inputs)

    def computed(self, inputs: np.ndarray) -> np.ndarray:
        is_turned = inputs.shape[1:3] != tuple(self.size)
        is_alone = is_turned or math.prod(inputs.shape[:3]) > SHARED_PIXELS
        with self.places.taken(is_alone), self.traced(is_turned):
            # A mirrored model returns the prediction of the whole batch once for each device.
            return np.asarray(self.model.predict_on_batch(inputs), np.float32)[: len(inputs)]

    @contextmanager
    def traced(self, is_turned: bool) -> Iterator[None]:
        """Lets Keras predict turned pictures of unequal sides by a function of their own.

        It would trace one for any height and width instead, which some layers refuse. No other pass
        may run meanwhile.
        """
        if not is_turned:
            yield
            return
        usual = getattr(self.model, "predict_function", None)
        self.model.predict_function = self.turned
        try:
            yield
            self.turned = self.model.predict_function
        finally:
            self.model.predict_function = usual


class Ensemble:
    """Predicts with the mean probabilities of several predictors of one batch size and tiling."""

    def __init__(self, predictors: Sequence[Predictor]):
        self.predictors = list(predictors)

    def __call__(self, images: Iterable[np.ndarray]) -> Iterator[Iterator[Band]]:
        """The bands of each image, as `Predictor` gives them."""
        return self.bands(map(self.ready, images))

    def ready(self, image: np.ndarray) -> tuple[Ready, ...]:
        """An image (H, W, N) as each predictor takes it."""
        return tuple(one.ready(image) for one in self.predictors)

    def bands(self, pictures: Iterable[tuple[Ready, ...]]) -> Iterator[Iterator[Band]]:
        """The bands of each picture, as `Predictor` gives them."""
        for bands in self.members(pictures):
            yield map(mean_band, bands)

    def members(
        self, pictures: Iterable[tuple[Ready, ...]]
    ) -> Iterator[Iterator[tuple[Band, ...]]]:
        """The bands of each picture: the same rows as each predictor gives them."""
        copies = itertools.tee(pictures, len(self.predictors))
        members = [
            predict.bands(map(operator.itemgetter(place), copy))
            for place, (predict, copy) in enumerate(zip(self.predictors, copies, strict=True))
        ]
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
        least = by_class.most_probable(probabilities, mask[rows], certainty[rows])
        surest = min(surest, least)
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
    cut = (
        padded(image[top : top + tile[0], left : left + tile[1]], tile)
        for top in tops
        for left in lefts
    )
    parts = itertools.chain.from_iterable(forward(batch) for batch in batches(cut, batch_size))
    weight = np.outer(window(tile[0], overlap), window(tile[1], overlap))[..., None]
    strip: Any = None
    for top, bottom in itertools.pairwise([*tops, height]):
        for left, part in zip(lefts, parts, strict=False):  # a row of tiles
            if strip is None:
                strip = np.zeros((tile[0], max(width, tile[1]), part.shape[-1]), np.float32)
                # A factor for each value: NumPy is slow where it repeats one over a short axis.
                weight = np.repeat(weight, part.shape[-1], axis=-1)
            strip[:, left : left + tile[1]] += np.multiply(weight, part, out=part)
        yield Band(top, by_class.shares(strip[: bottom - top, :width]))
        kept = strip[bottom - top :].copy()
        strip[: len(kept)], strip[len(kept) :] = kept, 0


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of `size`, the last of the rest."""
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
