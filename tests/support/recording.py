"""Records of evaluations, made from small masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from flexunet_exp.scores import boundary, confusions, curves, objects
from flexunet_exp.scores.record import TEXT, Record


def masks_with(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction of one row of pixels with these counts (C, C), truth × prediction."""
    pairs = [
        (true, predicted)
        for true, row in enumerate(counts)
        for predicted, number in enumerate(row)
        for _ in range(number)
    ]
    truth, prediction = np.array(pairs, np.uint8).T
    return truth[None], prediction[None]


def record_of(
    masks: Sequence[tuple[np.ndarray, np.ndarray]],
    names: Sequence[str],
    classes: Sequence[str],
    seed_dice: Sequence[float] | None = None,
    sources: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
) -> Record:
    """The record of pictures (truth, prediction), every predicted defect with a score of 1."""
    sources = sources or names
    labels = labels or [name.partition("/")[0] for name in names]
    images = pd.DataFrame(
        list(zip(names, sources, labels, names, strict=True)), columns=list(TEXT), dtype=str
    )
    found = [
        entry
        for name, (truth, prediction) in zip(names, masks, strict=True)
        for entry in objects.find_objects(name, truth, prediction, classes)
    ]
    return Record(
        images,
        tuple(classes),
        np.stack([confusions.confusion(t, p, len(classes)) for t, p in masks]),
        np.array(seed_dice if seed_dice is not None else [0.5] * len(names)),
        curves.collect(
            curves.score_histogram(curves.quantise((p > 0).astype(float)), t) for t, p in masks
        ),
        objects.object_table(found),
        np.stack([boundary.boundary_counts(t, p, len(classes), 1) for t, p in masks]),
    )
