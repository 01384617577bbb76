"""From the regions of a split's pictures to losses over sources, at three levels.

- `pixel`: the share of a picture's background pixels above the threshold, and the share of its
  defect pixels below it.
- `region`: regions that touch no defect in a picture, of which more than MOST_ALARMS count as
  MOST_ALARMS, and the share of defects that the remaining regions do not find.
- `part`: good parts that are stopped, and parts with a defect that are not.

A source is a part. It is stopped if one of its pictures is; other losses are means over its
pictures, or its defects.
"""

from __future__ import annotations

import numpy as np

from flexunet_exp.decisions.choosing import Risks
from flexunet_exp.decisions.rules import PART, PIXEL, Rule, Shape
from flexunet_exp.decisions.sequences import Losses
from flexunet_exp.scores.region_record import RegionRecord
from flexunet_exp.scores.regions import THRESHOLDS

MOST_ALARMS = 5  # a test of a mean needs a largest loss: more in a picture are no worse
PLACES = len(THRESHOLDS)


def risks(record: RegionRecord, level: str, shape: Shape, overlap: float, index: int = 0) -> Risks:
    """The losses of all sources at each threshold; of class `index` alone, or of all with 0.

    A defect is found where the remaining regions of one class (its own for a single class) cover
    a share of `overlap` of it. A level `part` is of all classes.
    """
    if level == PIXEL:
        return pixel_risks(record, index)
    remains = remaining_regions(record, shape)
    if level == PART:
        return part_risks(record, stopped_pictures(record, remains, shape))
    alarms = np.minimum(alarm_counts(record, remains, shape, index), MOST_ALARMS)
    found = found_defects(record, remains, overlap, index)
    return Risks(
        Losses(source_means(record.sources, alarms), False, MOST_ALARMS),
        Losses(missed_shares(record, found, index), False),
    )


def part_risks(record: RegionRecord, stopped: np.ndarray) -> Risks:
    """The 0/1 losses of parts from stopped pictures (N, T)."""
    is_defective = source_any(record.sources, record.is_defective[:, None])[:, 0]
    is_stopped = source_any(record.sources, stopped)
    return Risks(
        Losses(is_stopped[~is_defective].astype(np.float64)),
        Losses((~is_stopped[is_defective]).astype(np.float64)),
    )


def pixel_risks(record: RegionRecord, index: int) -> Risks:
    truth = record.truth_pixels
    true = truth[:, index] if index else truth[:, 1:].sum(axis=1)
    return Risks(
        Losses(share_losses(record.sources, record.above[:, index, :, 0], truth[:, 0]), False),
        Losses(
            share_losses(record.sources, true[:, None] - record.above[:, index, :, 1], true), False
        ),
    )


def share_losses(sources: np.ndarray, parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """Mean shares (S, T) of `parts` (N, T) in `wholes` (N,), over the pictures that have any."""
    there = wholes > 0
    return source_means(sources[there], parts[there] / wholes[there, None])


def remaining_regions(record: RegionRecord, shape: Shape) -> np.ndarray:
    """Whether each region of the record has this shape."""
    table = record.regions
    is_large = table["area"].to_numpy() >= shape.min_area
    return is_large & (table["mean"].to_numpy() >= shape.min_probability)


def left_out(record: RegionRecord, shape: Shape) -> np.ndarray:
    """Regions (N, C, T) that were not kept, where they may have this shape: as false alarms."""
    # They are no larger than the smallest false alarm that was kept.
    return np.where(record.smallest_alarm >= shape.min_area, record.left_out, 0)


def stopped_pictures(record: RegionRecord, remains: np.ndarray, shape: Shape) -> np.ndarray:
    """Whether a region of any class remains in each picture at each threshold, (N, T)."""
    return np.any(stopped_by_class(record, remains, shape), axis=1)


def stopped_by_class(record: RegionRecord, remains: np.ndarray, shape: Shape) -> np.ndarray:
    """Whether a region of a class remains in each picture at each threshold, (N, C, T)."""
    stopped = left_out(record, shape) > 0
    stopped[record.is_defective] = False  # a region that was not kept stops no defective part
    stopped.reshape(-1)[record.cells[remains]] = True
    return stopped


def alarm_counts(record: RegionRecord, remains: np.ndarray, shape: Shape, index: int) -> np.ndarray:
    """The remaining regions that touch no defect, (N, T), of one class or of all with 0."""
    is_alarm = remains & record.regions["is_alarm"].to_numpy()
    kept = np.bincount(record.cells[is_alarm], minlength=record.left_out.size)
    counts = left_out(record, shape) + kept.reshape(record.left_out.shape)
    return counts[:, index] if index else counts.sum(axis=1)


def found_defects(
    record: RegionRecord, remains: np.ndarray, overlap: float, index: int
) -> np.ndarray:
    """Whether each defect is found at each threshold, (D, T), by its class or by any with 0."""
    met = record.meetings[remains[record.meetings["region"].to_numpy()]]
    # The class and the threshold of a region, as a place in a flat (C, T).
    size = len(record.classes) * PLACES
    where = met["defect"].to_numpy() * size + record.cells[met["region"].to_numpy()] % size
    flat = np.bincount(where, met["pixels"].to_numpy(), minlength=len(record.defects) * size)
    covered = flat.reshape(-1, len(record.classes), PLACES)
    most = covered[:, index] if index else covered.max(axis=1, initial=0)
    return most >= overlap * record.defects["area"].to_numpy()[:, None]


def missed_shares(record: RegionRecord, found: np.ndarray, index: int) -> np.ndarray:
    """The share of each source's defects, or those of one class, that are missed: (S, T)."""
    counted = record.defects["class"].to_numpy() == index if index else np.ones(len(found), bool)
    sources = record.sources[record.defects["picture"].to_numpy()[counted]]
    return source_means(sources, ~found[counted])


def source_means(sources: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The means (S, T) of each source's rows of values (N, T), sources by name."""
    names, place, counts = np.unique(sources, return_inverse=True, return_counts=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, place, values)
    return sums / counts[:, None]


def source_any(sources: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Whether any row of each source is true, (S, T) from (N, T)."""
    names, place = np.unique(sources, return_inverse=True)
    found = np.zeros((len(names), values.shape[1]), bool)
    np.logical_or.at(found, place, values)
    return found


def stopped_by(record: RegionRecord, rule: Rule) -> np.ndarray:
    """Whether the rule stops each picture (N,)."""
    return margins(record, rule) >= 0


def margins(record: RegionRecord, rule: Rule) -> np.ndarray:
    """The margin of each picture (N,), as `Rule.margin` gives it."""
    highest = np.full(len(record.names), -np.inf)
    for index, of_class in enumerate(rule.of_class.values(), start=1):
        remains = remaining_regions(record, of_class.shape)
        stopped = stopped_by_class(record, remains, of_class.shape)[:, index]
        places = np.array([highest_stopped(row, of_class.place) for row in stopped])
        highest = np.maximum(highest, (places - of_class.place) / 20)
    return highest.round(2)


def highest_stopped(stopped: np.ndarray, place: int) -> int:
    """The highest threshold at which a picture is stopped (T,) as at `place`; -1 for none."""
    if stopped[place]:
        above = np.flatnonzero(~stopped[place:])
        return place + int(above[0] if len(above) else len(stopped) - place) - 1
    below = np.flatnonzero(stopped[:place])
    return int(below[-1]) if len(below) else -1
