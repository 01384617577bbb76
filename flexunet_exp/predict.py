"""Turns images of any size into class probabilities: the one way from picture to prediction."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import cv2
import numpy as np
from scipy.special import softmax

from flexunet_exp.data import masks


def probabilities(
    model: Any, images: Iterable[np.ndarray], size: tuple[int, int], batch_size: int
) -> Iterator[np.ndarray]:
    """Class probabilities (H, W, C) float32 of each image, at the image's own height and width.

    Images (H, W, 3) uint8 are resized to the network's `size` (height, width) and predicted
    `batch_size` at a time; probabilities are enlarged bilinearly, so a mask is their argmax.
    """
    iterator = iter(images)
    while batch := list(itertools.islice(iterator, batch_size)):
        inputs = np.stack([masks.resize_image(image, size) for image in batch])
        # A mirrored model predicts the whole batch once a device, one after the other.
        logits = np.asarray(model.predict_on_batch(inputs), np.float32)[: len(batch)]
        for image, scores in zip(batch, softmax(logits, axis=-1), strict=True):
            yield resize_probabilities(scores, image.shape[:2])


def resize_probabilities(scores: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Probabilities (h, w, C) at another (height, width), bilinear: they still sum to one."""
    if scores.shape[:2] == tuple(size):
        return scores
    return cv2.resize(scores, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
