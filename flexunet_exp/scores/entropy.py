"""How unsure probabilities are, in bits.

The entropy (Shannon 1948), and the mutual information of the class and the network that predicts:
the entropy of the networks' mean without the mean of their own entropies. It is high where each
network is sure and they disagree (Houlsby et al. 2011, arXiv:1112.5745; of ensembles,
Lakshminarayanan et al. 2017, arXiv:1612.01474).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import cv2
import numpy as np

from flexunet_exp.scores import by_class


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """The entropy (…, W) float32 of probabilities (…, W, C) float32: 0 to log2(C) bits."""
    rows = probabilities.reshape(-1, *probabilities.shape[-2:])
    found = np.empty(rows.shape[:-1], np.float32)
    for part in by_class.blocks(rows.shape):
        found[part] = functools.reduce(np.add, map(_terms, cv2.split(rows[part])))
    return np.maximum(found, 0, out=found).reshape(probabilities.shape[:-1])


def _terms(plane: np.ndarray) -> np.ndarray:
    """A class's share (rows, W) of the entropy; 0 for a probability of 0."""
    terms = np.log2(np.maximum(plane, np.float32(1e-12)))
    return np.multiply(terms, np.negative(plane, out=plane), out=terms)


def mutual_information(members: Sequence[np.ndarray], of_mean: np.ndarray) -> np.ndarray:
    """The mutual information (rows, W), 0 to log2(C) bits, of class and network.

    `members` are the probabilities (rows, W, C) float32 of each network, `of_mean` is the entropy
    (rows, W) of their mean.
    """
    own = functools.reduce(np.add, map(entropy, members)) / np.float32(len(members))
    return np.maximum(of_mean - own, 0)  # rounding may leave less than nothing
