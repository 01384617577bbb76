"""How unsure probabilities are, in bits.

The entropy (Shannon 1948), and the mutual information of the class and the network that predicts:
the entropy of the networks' mean without the mean of their own entropies. It is high where each
network is sure and they disagree (Houlsby et al. 2011, arXiv:1112.5745; of ensembles,
Lakshminarayanan et al. 2017, arXiv:1612.01474).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """The entropy (rows, W) float32 of probabilities (rows, W, C) float32: 0 to log2(C) bits."""
    flat = probabilities.reshape(-1, probabilities.shape[-1])
    terms = np.log2(np.maximum(flat, np.float32(1e-12)))
    terms *= flat
    # A product with ones sums a short last axis several times as fast as NumPy's sum.
    total = terms @ np.ones(flat.shape[1], np.float32)
    return np.maximum(-total, 0).reshape(probabilities.shape[:-1])


def mutual_information(members: Sequence[np.ndarray], of_mean: np.ndarray) -> np.ndarray:
    """The mutual information (rows, W), 0 to log2(C) bits, of class and network.

    `members` are the probabilities (rows, W, C) float32 of each network, `of_mean` is the entropy
    (rows, W) of their mean.
    """
    own = functools.reduce(np.add, map(entropy, members)) / np.float32(len(members))
    return np.maximum(of_mean - own, 0)  # rounding may leave less than nothing
