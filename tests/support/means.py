"""An encoder for tests: means over squares of a picture, as maps at strides 4, 8 and 32."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from flexunet_exp.data.cache.features import FeatureCache, Maps
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.data.feed.kept_features import KeptFeatures
from flexunet_exp.data.feed.settings import FeedSettings

STRIDES = (4, 8, 32)


def means(images: np.ndarray) -> list[np.ndarray]:
    """Maps (B, H / stride, W / stride, 3) float32 of images (B, H, W, 3)."""
    batch, height, width, channels = images.shape
    return [
        images.reshape(batch, height // s, s, width // s, s, channels)
        .mean(axis=(2, 4), dtype=np.float64)
        .astype(np.float32)
        for s in STRIDES
    ]


def cache_in(settings: FeedSettings) -> FeatureCache:
    height, width = settings.size
    shapes = tuple((height // stride, width // stride, 3) for stride in STRIDES)
    maps = Maps(shapes, np.dtype(settings.feature_type))
    facts = {"encoder": "means", "size": list(settings.size)}
    return FeatureCache(settings.cache_dir, ["means"], maps, facts)


def kept_in(
    settings: FeedSettings,
    dataset: Dataset,
    extract: Callable[[np.ndarray], Sequence[np.ndarray]] = means,
) -> KeptFeatures:
    """The features of a data set, computed where the cache lacks them."""
    found = KeptFeatures(settings, dataset, cache_in(settings), dataset.dtype)
    found.fill(extract)
    return found
