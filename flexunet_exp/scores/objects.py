"""Defects as objects: which were found, and which predicted ones are false alarms.

An object is an 8-connected component of one class. Figures follow from a table of the objects of
all images; an undefined figure is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from flexunet_exp.scores.confusions import mean_over_last, ratio

DEFECT, FALSE_ALARM = "defect", "false_alarm"


class Object(NamedTuple):
    """A true defect, or a predicted one where there is none; areas and boxes in pixels."""

    image: str
    kind: str
    class_name: str
    area: int
    left: int
    top: int
    width: int
    height: int
    covered: float = math.nan  # share of a defect's pixels predicted as its class
    covered_by_any: float = math.nan  # share of a defect's pixels predicted as any defect


def find_objects(
    image: str, truth: np.ndarray, prediction: np.ndarray, class_names: Sequence[str]
) -> list[Object]:
    """The objects of an image named `image`, of class indices (H, W) uint8.

    A predicted component is a false alarm if none of its pixels is on a true defect of any class
    or on an ignored pixel. Raises ValueError where the shapes differ.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth has shape {truth.shape}, the prediction {prediction.shape}")
    objects = []
    for index, name in enumerate(class_names[1:], start=1):
        true, predicted = truth == index, prediction == index
        objects += _defects(image, name, true, predicted, prediction)
        objects += _false_alarms(image, name, predicted, truth)
    return objects


def object_table(objects: Iterable[Object]) -> pd.DataFrame:
    """A row an object, of one image or many: the fields of Object, `class_name` as `class`."""
    table = pd.DataFrame(list(objects), columns=list(Object._fields))
    # Also without a row, so that tables of images concatenate to the same kinds of columns.
    kinds = {
        "image kind class_name": str,
        "area left top width height": np.int64,
        "covered covered_by_any": np.float64,
    }
    table = table.astype({name: kind for names, kind in kinds.items() for name in names.split()})
    return table.rename(columns={"class_name": "class"})


def object_counts(
    table: pd.DataFrame, names: Sequence[str], class_names: Sequence[str], overlap: float = 0.5
) -> np.ndarray:
    """Defects and found ones of each image in `names` and each defect class: (N, C - 1, 2) int64.

    Found means that a share of at least `overlap` is predicted as the defect's class. Raises
    ValueError for an image or a class that is not named.
    """
    defects = table[table["kind"] == DEFECT]
    place = _places(defects["image"], names), _places(defects["class"], class_names[1:])
    counts = np.zeros((len(names), len(class_names) - 1, 2), np.int64)
    np.add.at(counts[..., 0], place, 1)
    np.add.at(counts[..., 1], place, defects["covered"].to_numpy(np.float64) >= overlap)
    return counts


def false_alarm_counts(table: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """False alarms in each image in `names`: (N,) int64. Raises ValueError for another image."""
    alarms = table.loc[table["kind"] == FALSE_ALARM, "image"]
    return np.bincount(_places(alarms, names), minlength=len(names)).astype(np.int64)


def object_recall(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The macro recall (R,), 0..1, of `object_counts` (N, C - 1, 2) in resamples (R, N).

    The mean of the found share over the classes with defects in the resample.
    """
    total = np.tensordot(weights, counts, axes=1)
    return mean_over_last(ratio(total[..., 1], total[..., 0]))


def object_figures(
    table: pd.DataFrame,
    good: Mapping[str, bool],
    class_names: Sequence[str],
    overlap: float = 0.5,
) -> dict[str, float]:
    """Figures of a split by name; `good` says of every image whether it has no true defect.

    `object_recall` is the mean of `object_recall/<class>` over classes with defects,
    `object_recall_any` the share of all defects found as any defect, `smallest_found` the area in
    pixels of the smallest found one.
    """
    names, is_good = list(good), np.array(list(good.values()), bool)
    counts = object_counts(table, names, class_names, overlap)
    recall = ratio(*counts.sum(axis=0).T[::-1])
    alarms = false_alarm_counts(table, names)
    defects = table[table["kind"] == DEFECT]
    found_areas = defects.loc[defects["covered"] >= overlap, "area"]
    return {
        "object_recall": float(mean_over_last(recall)),
        **{
            f"object_recall/{name}": float(r)
            for name, r in zip(class_names[1:], recall, strict=True)
        },
        "object_recall_any": _share(defects["covered_by_any"].to_numpy(np.float64) >= overlap),
        "false_alarms_per_image": _share(alarms),
        "false_alarms_per_good_image": _share(alarms[is_good]),
        "smallest_found": float(found_areas.min()) if len(found_areas) else math.nan,
    }


class _Components(NamedTuple):
    """The K components of a mask, numbered from 1."""

    labels: np.ndarray  # (H, W) int32
    boxes: np.ndarray  # (K, 4) left, top, width, height
    areas: np.ndarray  # (K,)

    def pixels(self, mask: np.ndarray) -> np.ndarray:
        """How many pixels of each component (K,) are in the mask."""
        return np.bincount(self.labels[mask], minlength=len(self.areas) + 1)[1:]


def _components(mask: np.ndarray) -> _Components:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    return _Components(labels, stats[1:, : cv2.CC_STAT_AREA], stats[1:, cv2.CC_STAT_AREA])


def _defects(
    image: str, name: str, true: np.ndarray, predicted: np.ndarray, prediction: np.ndarray
) -> list[Object]:
    if not true.any():
        return []
    found = _components(true)
    covered = found.pixels(predicted) / found.areas
    by_any = found.pixels(prediction > 0) / found.areas
    columns = found.areas, *found.boxes.T, covered, by_any
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [Object(image, DEFECT, name, *row) for row in rows]


def _false_alarms(image: str, name: str, predicted: np.ndarray, truth: np.ndarray) -> list[Object]:
    if not predicted.any():
        return []
    found = _components(predicted)
    columns = np.column_stack([found.areas, found.boxes])[found.pixels(truth != 0) == 0]
    return [Object(image, FALSE_ALARM, name, *row) for row in columns.tolist()]


def _places(values: Iterable[str], known: Sequence[str]) -> np.ndarray:
    """The index in `known` of each value: (K,) int. Raises ValueError if unknown or ambiguous."""
    place = {name: index for index, name in enumerate(known)}
    if len(place) < len(known):
        raise ValueError("an image or a class is named twice")
    missing = sorted({value for value in values if value not in place})
    if missing:
        raise ValueError(f"the table of objects has unknown names: {', '.join(missing)}")
    return np.array([place[value] for value in values], np.intp)


def _share(values: np.ndarray) -> float:
    """The mean, NaN of nothing."""
    return float(values.mean()) if len(values) else math.nan
