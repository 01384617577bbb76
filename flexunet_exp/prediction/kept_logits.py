"""Outputs of a network or of its frozen part, for pictures that several passes ask for."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

MOST_BYTES = 2**29  # of the first outputs
# Of the last of the others: two predictors ask in turn, a row of tiles at most.
RECENT_BYTES = 2**27
MOST_FEATURES = 2**28  # bytes; six pictures of 768 px in four views need 160 MB


class KeptLogits:
    """Logits by the inputs that a network had; for one thread.

    The first MOST_BYTES are kept: passes have one order, and of the last ones each would be dropped
    before it is asked for again. Of the others, the last RECENT_BYTES are.
    """

    def __init__(self, most_bytes: int = MOST_BYTES, recent_bytes: int = RECENT_BYTES):
        self.left, self.recent_left = most_bytes, recent_bytes
        self.first: dict[bytes, np.ndarray] = {}
        self.recent: OrderedDict[bytes, np.ndarray] = OrderedDict()

    def of(self, inputs: np.ndarray, compute: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """What `compute` gives for the inputs (B, H, W, N), as an array that cannot be written."""
        key = digest_of(inputs)
        found = self.first.get(key, self.recent.get(key))
        if found is None:
            found = compute(inputs)
            found.flags.writeable = False
            self.keep(key, found)
        return found

    def keep(self, key: bytes, logits: np.ndarray) -> None:
        if logits.nbytes <= self.left:
            self.first[key] = logits
            self.left -= logits.nbytes
            return
        self.recent[key] = logits
        self.recent_left -= logits.nbytes
        while self.recent_left < 0:
            self.recent_left += self.recent.popitem(last=False)[1].nbytes


class SameImages:
    """Predicts the same few images again and again, and computes their features once.

    What a predictor takes for a network with an `extractor` and a `decoder`
    (`training.features.FromFeatures`). Features of up to MOST_FEATURES are kept in memory.
    """

    def __init__(self, model: Any):
        self.model, self.inputs = model, model.inputs
        self.features: dict[bytes, list[np.ndarray]] = {}
        self.left = MOST_FEATURES

    @property
    def predict_function(self) -> tuple[Any, Any]:
        """Keras's functions of both parts, which a predictor exchanges as it does a network's."""
        return self.model.extractor.predict_function, self.model.decoder.predict_function

    @predict_function.setter
    def predict_function(self, functions: tuple[Any, Any] | None) -> None:
        extract, decode = functions or (None, None)
        self.model.extractor.predict_function = extract
        self.model.decoder.predict_function = decode

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        key = digest_of(images)
        found = self.features.get(key)
        if found is None:
            import keras

            # A mirrored model returns the features of the whole batch once for each device.
            maps = keras.tree.flatten(self.model.extractor.predict_on_batch(images))
            found = [one[: len(images)].copy() for one in maps]
            needed = sum(one.nbytes for one in found)
            if needed <= self.left:
                self.features[key] = found
                self.left -= needed
        return self.model.decoder.predict_on_batch(found)


def digest_of(inputs: np.ndarray) -> bytes:
    """A hash of the values, shape and type of a batch."""
    content = hashlib.blake2b(f"{inputs.shape} {inputs.dtype}".encode())
    content.update(np.ascontiguousarray(inputs).data)
    return content.digest()
