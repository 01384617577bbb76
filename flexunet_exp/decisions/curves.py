"""Curves over the thresholds, with 90 % bands from the bootstrap over sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from flexunet_exp.decisions import levels
from flexunet_exp.decisions.rules import Shape
from flexunet_exp.scores import bootstrap
from flexunet_exp.scores.confusions import ratio
from flexunet_exp.scores.region_record import RegionRecord
from flexunet_exp.scores.regions import THRESHOLDS

ALL = "all"  # the row of all classes together


def free_response(
    record: RegionRecord, shapes: Mapping[str, Shape], overlap: float, resamples: int
) -> pd.DataFrame:
    """The free-response curve of each class, a row a class and a threshold.

    `shapes` are those of the regions of each class; where they are all one, the curve of all
    classes together is the first. `found` is the share of defects that the remaining regions find,
    `false_alarms` the mean number of regions a picture that touch no defect; NaN where a class has
    no defect.
    """
    weights = picture_weights(record, resamples)
    remaining = {shape: levels.remaining_regions(record, shape) for shape in set(shapes.values())}
    of_all = dict.fromkeys([ALL], *remaining) if len(remaining) == 1 else {}
    places = {name: index for index, name in enumerate((ALL, *record.classes[1:]))}
    tables = []
    for name, shape in {**of_all, **shapes}.items():
        index, remains = places[name], remaining[shape]
        alarms = levels.alarm_counts(record, remains, shape, index)
        ones = np.ones(len(record.names))
        found, defects = defects_by_picture(record, remains, overlap, index)
        columns = {
            **with_band("found", found, defects, weights),
            **with_band("false_alarms", alarms, ones, weights),
        }
        head = {"class": name, "threshold": THRESHOLDS, "defects": int(defects.sum())}
        tables.append(pd.DataFrame(head | columns))
    return pd.concat(tables, ignore_index=True)


def defects_by_picture(
    record: RegionRecord, remains: np.ndarray, overlap: float, index: int
) -> tuple[np.ndarray, np.ndarray]:
    """How many defects of each picture are found (N, T), and how many it has (N,)."""
    found = levels.found_defects(record, remains, overlap, index)
    counted = record.defects["class"].to_numpy() == index if index else np.ones(len(found), bool)
    pictures = record.defects["picture"].to_numpy()[counted]
    sums = np.zeros((len(record.names), found.shape[1]))
    np.add.at(sums, pictures, found[counted])
    return sums, np.bincount(pictures, minlength=len(record.names))


def part_curve(record: RegionRecord, shape: Shape, resamples: int) -> pd.DataFrame:
    """The share of good parts stopped and of defective ones passed, a row a threshold."""
    stopped = levels.stopped_pictures(record, levels.remaining_regions(record, shape), shape)
    risks = levels.part_risks(record, stopped)
    draw = np.random.default_rng(0)
    columns = {"threshold": THRESHOLDS}
    for name, losses in (("stopped", risks.false_alarms), ("missed", risks.missed)):
        number = losses.number
        picked = draw.multinomial(number, np.full(number, 1 / max(number, 1)), resamples)
        columns |= with_band(name, losses.values, np.ones(number), picked)
    return pd.DataFrame(columns)


def with_band(
    name: str, parts: np.ndarray, wholes: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """The ratio of sums (T,) of `parts` (N, T) and `wholes` (N,), and its band by `weights`."""
    drawn = ratio(weights @ parts, np.repeat((weights @ wholes)[:, None], parts.shape[1], axis=1))
    value = ratio(parts.sum(axis=0), np.full(parts.shape[1], wholes.sum()))
    low, high = (quantile(drawn, share) for share in (0.05, 0.95))
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def quantile(drawn: np.ndarray, share: float) -> np.ndarray:
    """A quantile (T,) of the resamples (R, T) that are defined; NaN where none is."""
    defined = drawn[~np.isnan(drawn).any(axis=1)]
    return np.quantile(defined, share, axis=0) if len(defined) else np.full(drawn.shape[1], np.nan)


def picture_weights(record: RegionRecord, resamples: int) -> np.ndarray:
    """How often each picture counts in each resample of the sources, (R, N), by their class."""
    labels = np.where(record.is_defective, 1 + record.truth_pixels[:, 1:].argmax(axis=1), 0)
    return bootstrap.resampled(record.sources, labels, resamples)


def points(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each class's part of a free-response table that has defects, all classes first."""
    for name, part in table.groupby("class", sort=False):
        if part["defects"].iloc[0]:
            yield str(name), part
