"""Batches of kept features: the maps of a frozen encoder, and the masks of the same views."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from flexunet_exp.data.augmentation import PasteDefect
from flexunet_exp.data.cache.features import FeatureCache, Maps
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.data.feed import batches, feed, patches, reader
from flexunet_exp.data.feed.batches import PATCH_STREAM
from flexunet_exp.data.feed.good_share import ShareOf
from flexunet_exp.data.feed.sampling import Draw
from flexunet_exp.data.feed.settings import FeedSettings
from flexunet_exp.data.feed.views import Views
from flexunet_exp.data.tiles import Size
from flexunet_exp.system import interrupt, progress

log = logging.getLogger(__name__)

AT_ONCE = 4  # pictures that the encoder computes together
Extract = Callable[[np.ndarray], Sequence[np.ndarray]]  # images (B, H, W, N) → maps (B, h, w, c)


class Place(NamedTuple):
    """A view of a picture of the training or the validation split."""

    split: str
    row: int
    view: int


class KeptFeatures:
    """Maps and masks of the views of all training pictures, and of the validation pictures.

    They can be read after `fill`.
    """

    def __init__(
        self,
        settings: FeedSettings,
        dataset: Dataset,
        cache: FeatureCache,
        dtype: str,
    ):
        self.readers = {
            name: reader.SampleReader(dataset, dataset.split(name), settings.size, dtype=dtype)
            for name in ("train", "valid")
        }
        # A picture's views follow each other: it is decoded once for all of them.
        self.picture = lru_cache(1)(lambda split, row: self.readers[split](row))
        transforms = feed.transforms_of(settings, dataset, self.readers["train"])
        pastes = any(isinstance(one, PasteDefect) for one in transforms)
        origin = donors_of(settings, dataset) if pastes else ""
        self.views = Views(transforms, settings.size, settings.views, settings.seed, origin)
        self.cache = cache
        self.masks: dict[Place, bytes] = {}
        self.size = settings.size
        cache.open(dataset.name)

    def places(self) -> Iterator[Place]:
        for row in range(len(self.readers["train"])):
            yield from (Place("train", row, view) for view in range(len(self.views)))
        yield from (Place("valid", row, 0) for row in range(len(self.readers["valid"])))

    def name(self, place: Place) -> str:
        sample = self.readers[place.split].samples[place.row]
        return f"{sample.sha256[:32]}_{self.views.name(place.view)}"

    def names(self) -> set[str]:
        return {self.name(place) for place in self.places()}

    def gigabytes(self, views: int, maps: Maps) -> float:
        """What so many views of the training pictures need, and the validation pictures."""
        train, valid = ({one.sha256 for one in read.samples} for read in self.readers.values())
        return (views * len(train) + len(valid - train)) * maps.bytes / 1e9

    def fill(self, extract: Extract) -> None:
        """Computes what the cache lacks; what is computed when this is cut off is not lost."""
        places = list(self.places())
        with self.cache.computing(self.names()) as missing:
            log.info(
                "Features: %d views of %d training pictures, 1 of %d validation pictures, %.2f GB "
                "in %s; %d are computed.",
                *(len(self.views), *map(len, self.readers.values())),
                *(self.gigabytes(len(self.views), self.cache.maps), self.cache.path, len(missing)),
            )
            with progress.displayed(len(places)) as show:
                for start in range(0, len(places), AT_ONCE):
                    interrupt.check()
                    self.fill_some(places[start : start + AT_ONCE], missing, extract)
                    show(min(start + AT_ONCE, len(places)))

    def fill_some(self, places: Sequence[Place], missing: set[str], extract: Extract) -> None:
        pairs = {place: self.seen(place) for place in places}
        images = {self.name(place): image for place, (image, _) in pairs.items()}
        lacking = {name: image for name, image in images.items() if name in missing}
        if lacking:
            maps = extract(np.stack(list(lacking.values())))
            for number, name in enumerate(lacking):
                self.cache.write(name, [one[number] for one in maps])
        for place, (_, mask) in pairs.items():
            self.masks[place] = zlib.compress(mask.tobytes(), 1)

    def seen(self, place: Place) -> tuple[np.ndarray, np.ndarray]:
        sample = self.readers[place.split].samples[place.row]
        return self.views.of(self.picture(place.split, place.row), sample.sha256, place.view)

    def read(self, place: Place) -> tuple[np.ndarray, ...]:
        """The maps (h, w, c) of a view, and its mask (H, W) uint8."""
        mask = np.frombuffer(zlib.decompress(self.masks[place]), np.uint8).reshape(self.size)
        return *self.cache.read(self.name(place)), mask

    def inputs(self, size: Size) -> tuple[tf.TensorSpec, ...]:
        """Shapes and type of the maps of a picture, or patch, of this size (height, width)."""
        specs = []
        for height, _, channels in self.cache.maps.shapes:
            stride = self.size[0] // height
            shape = (size[0] // stride, size[1] // stride, channels)
            specs.append(tf.TensorSpec(shape, tf.as_dtype(self.cache.maps.dtype)))
        return tuple(specs)

    def patch(self, place: Place, size: Size, focus: int, key: Sequence[int]) -> list[np.ndarray]:
        """Maps and mask of a patch of a view, on the grid of the coarsest map.

        `size` is in the network's pixels; with a `focus`, the patch shows a random pixel of that
        class, or lies anywhere if the view has none. `key` decides the place.
        """
        *maps, mask = self.read(place)
        generator = np.random.default_rng([*key, PATCH_STREAM])
        stride = self.size[0] // min(len(one) for one in maps)
        corner = patches.corner_of(mask, size, focus, generator, grid=stride)
        return [cut(one, corner, size, self.size[0] // len(one)) for one in (*maps, mask)]


def donors_of(settings: FeedSettings, dataset: Dataset) -> str:
    """All that decides which defects are pasted, beside the transform: pictures, classes, draw."""
    decisive = [dataset.split_digest("train"), dataset.recipe, settings.sampling]
    return json.dumps(decisive, sort_keys=True, default=str)


def cut(one: np.ndarray, corner: Size, size: Size, stride: int) -> np.ndarray:
    """The part of a map of this stride that a patch at `corner` (top, left) of a picture covers."""
    (top, left), (height, width) = np.array(corner) // stride, np.array(size) // stride
    return one[top : top + height, left : left + width]


def feed_of(
    settings: FeedSettings,
    dataset: Dataset,
    kept: KeptFeatures,
    first_epoch: int,
    multiple_of: int,
    share_of: ShareOf | None = None,
) -> feed.Feed:
    """Training and validation batches of kept features, as `feed.feed` gives those of pictures."""
    sampler, patch = feed.sampler(settings, dataset, share_of), settings.feature_patch

    def read_drawn(epoch: int, draw: Draw) -> Sequence[np.ndarray]:
        view = kept.views.drawn(settings.seed, epoch, draw.row, draw.turn)
        place = Place("train", draw.row, view)
        if patch is None:
            return kept.read(place)
        return kept.patch(place, patch, draw.focus, (settings.seed, epoch, *draw))

    def read_valid(row: int) -> Sequence[np.ndarray]:
        return kept.read(Place("valid", row, 0))

    def batches_of(steps: range, wanted: Any, read: Any, size: Size) -> tf.data.Dataset:
        return batches.batches(steps, wanted, read, kept.inputs(size), size, multiple_of)

    epochs, size = range(first_epoch, settings.epochs), settings.size
    valid = batches.in_order(len(kept.readers["valid"]), settings.valid_batch_size)
    return feed.Feed(
        batches_of(*batches.drawn(sampler, settings.batch_size, epochs), read_drawn, patch or size),
        batches.steps_per_epoch(len(sampler), settings.batch_size),
        len(sampler),
        batches_of(*valid, read_valid, size),
    )
