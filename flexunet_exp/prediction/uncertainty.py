"""How unsure a prediction is of each pixel, from 0 to 1, band by band.

`entropy` is the entropy of the probabilities, `folds` the mutual information of the class and the
network (`scores.entropy`). Both are divided by log C.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from flexunet_exp.errors import InputError
from flexunet_exp.prediction.predictor import Band, Ensemble, Predictor, mean_band
from flexunet_exp.scores import entropy as bits

NONE, ENTROPY, FOLDS = "none", "entropy", "folds"
# Where the colours of a map end: networks of one recipe disagree by a few hundredths.
ENDS = {NONE: 1.0, ENTROPY: 1.0, FOLDS: 0.1}


def check(kind: str, predictor: Predictor | Ensemble) -> None:
    """Raises InputError where a disagreement is asked of one network."""
    if kind == FOLDS and not isinstance(predictor, Ensemble):
        raise InputError(
            f"uncertainty={FOLDS} is the disagreement of networks that predict together, and run= "
            f"names one. Name several (run=A,B, or a multirun; evaluate needs ensemble=true), or "
            f"use uncertainty={ENTROPY}"
        )


def predicted(
    predictor: Predictor | Ensemble, pictures: Iterable[Any], kind: str
) -> Iterator[Iterator[tuple[Band, np.ndarray | None]]]:
    """The bands of each picture, as the predictor gives them, with their pixels' uncertainty.

    `pictures` are as the predictor's `ready` gives them; their bands may be taken as its `bands`
    says. The uncertainty is (rows, W) float32, None for `none`.
    """
    if kind == FOLDS and isinstance(predictor, Ensemble):
        for members in predictor.members(pictures):
            yield map(with_disagreement, members)
        return
    for bands in predictor.bands(pictures):
        yield ((band, entropy(band.probabilities) if kind == ENTROPY else None) for band in bands)


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """The entropy (rows, W) of probabilities (rows, W, C), divided by log C."""
    return bits.entropy(probabilities) / most(probabilities)


def with_disagreement(bands: Sequence[Band]) -> tuple[Band, np.ndarray]:
    """The mean of the same rows by each network, and the mutual information of class and network.

    The mutual information is (rows, W).
    """
    mean = mean_band(bands)
    members = [band.probabilities for band in bands]
    found = bits.mutual_information(members, bits.entropy(mean.probabilities))
    return mean, found / most(mean.probabilities)


def most(probabilities: np.ndarray) -> np.float32:
    """The highest entropy of so many classes, in bits."""
    return np.float32(np.log2(probabilities.shape[-1]))


def kept(
    bands: Iterable[tuple[Band, np.ndarray | None]], into: np.ndarray | None
) -> Iterator[Band]:
    """The bands alone; their uncertainty is written into the map (H, W), if there is one."""
    for band, unsure in bands:
        if into is not None:
            into[band.top : band.top + len(band.probabilities)] = unsure
        yield band


def mean(unsure: np.ndarray, mask: np.ndarray) -> float | None:
    """The mean uncertainty of the pixels that are predicted as a defect; None where none is."""
    found = mask > 0
    return float(unsure[found].mean(dtype=np.float64)) if found.any() else None
