"""The regions of a split's pictures, as one file of an evaluation."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flexunet_exp.errors import InputError
from flexunet_exp.scores.regions import (
    DEFECT,
    LEVELS,
    MEETING,
    REGION,
    STEPS,
    PictureRegions,
)
from flexunet_exp.system.files import replace_file

REGIONS = "regions.npz"
TYPES = {
    **dict.fromkeys(("class", "threshold"), np.uint8),
    **dict.fromkeys(("picture", "area", "region", "defect", "pixels"), np.int32),
    **dict.fromkeys(("mean", "peak"), np.float32),
    "is_alarm": np.bool_,
}


@dataclass(frozen=True)
class RegionRecord:
    """The regions of N pictures of C classes, background first, as `regions.find_regions` has them.

    `regions` and `defects` have a column `picture`; `meetings` name rows of both.
    """

    names: np.ndarray  # (N,) str
    sources: np.ndarray  # (N,) str
    classes: tuple[str, ...]
    truth_pixels: np.ndarray  # (N, C) int64
    above: np.ndarray  # (N, C, 19, 2) int64
    left_out: np.ndarray  # (N, C, 19) int64
    regions: pd.DataFrame  # picture, class, threshold (a place), area, mean, peak, is_alarm
    defects: pd.DataFrame  # picture, class, area
    meetings: pd.DataFrame  # region, defect, pixels

    @property
    def is_defective(self) -> np.ndarray:
        """Whether a picture (N,) shows a true defect."""
        return np.any(self.truth_pixels[:, 1:], axis=1)

    @cached_property
    def cells(self) -> np.ndarray:
        """Of each region, its picture, class and threshold as a place in a flat (N, C, 19)."""
        where = tuple(self.regions[name].to_numpy() for name in ("picture", "class", "threshold"))
        return np.ravel_multi_index(where, self.left_out.shape)

    @cached_property
    def smallest_alarm(self) -> np.ndarray:
        """The area of the smallest false alarm that was kept, (N, C, 19); infinite for none."""
        smallest = np.full(self.left_out.size, np.inf)
        is_alarm = self.regions["is_alarm"].to_numpy()
        areas = self.regions["area"].to_numpy()[is_alarm].astype(np.float64)
        np.minimum.at(smallest, self.cells[is_alarm], areas)
        return smallest.reshape(self.left_out.shape)


def of_pictures(
    names: Sequence[str],
    sources: Sequence[str],
    classes: Sequence[str],
    found: Sequence[PictureRegions],
) -> RegionRecord:
    """The record of pictures in one order."""
    counts = [len(one.regions) for one in found], [len(one.defects) for one in found]
    starts = [np.cumsum([0, *count[:-1]]) for count in counts]
    places = zip(*starts, strict=True)
    met = [one.meetings + [*place, 0] for one, place in zip(found, places, strict=True)]
    numbers = np.arange(len(found))
    tables = [np.concatenate([getattr(one, part) for one in found]) for part in PARTS[:2]]
    regions, defects = (
        typed(np.column_stack([np.repeat(numbers, count), rows]), ("picture", *columns))
        for count, rows, columns in zip(counts, tables, (REGION, DEFECT), strict=True)
    )
    return RegionRecord(
        np.array(names, np.str_),
        np.array(sources, np.str_),
        tuple(classes),
        np.stack([one.truth_pixels for one in found]),
        np.stack([one.above for one in found]),
        np.stack([one.left_out for one in found]),
        regions,
        defects,
        typed(np.concatenate(met), MEETING),
    )


PARTS = ("regions", "defects", "meetings")
COLUMNS = {"regions": ("picture", *REGION), "defects": ("picture", *DEFECT), "meetings": MEETING}
ARRAYS = ("names", "sources", "classes", "truth_pixels", "above", "left_out")


def typed(rows: np.ndarray, columns: Sequence[str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(columns))
    return table.astype({name: TYPES[name] for name in columns})


def pooled(records: Sequence[RegionRecord]) -> RegionRecord:
    """All pictures of several records of the same classes, such as the folds of one split."""
    places = [(0, 0, 0)]  # of each record's first picture, region and defect
    for one in records:
        sizes = (len(one.names), len(one.regions), len(one.defects))
        places.append(tuple(map(sum, zip(places[-1], sizes, strict=True))))  # type: ignore[arg-type]
    moved = [shifted(one, *place) for one, place in zip(records, places[:-1], strict=True)]
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in records])
        for name in ARRAYS
        if name != "classes"
    }
    tables: dict[str, Any] = {
        part: pd.concat([getattr(one, part) for one in moved], ignore_index=True) for part in PARTS
    }
    return replace(records[0], **arrays, **tables)


def shifted(record: RegionRecord, picture: int, region: int, defect: int) -> RegionRecord:
    """The record with its pictures, regions and defects numbered from these numbers on."""
    met = record.meetings
    return replace(
        record,
        regions=record.regions.assign(picture=record.regions["picture"] + picture),
        defects=record.defects.assign(picture=record.defects["picture"] + picture),
        meetings=met.assign(region=met["region"] + region, defect=met["defect"] + defect),
    )


def save(record: RegionRecord, path: Path) -> None:
    """Writes the record as an `.npz` without pickle, whole or not at all."""
    stored: dict[str, Any] = {name: np.asarray(getattr(record, name)) for name in ARRAYS}
    stored["levels"] = np.append(LEVELS, STEPS)
    for part, columns in COLUMNS.items():
        table = getattr(record, part)
        stored |= {f"{part}.{name}": table[name].to_numpy() for name in columns}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **stored)
    replace_file(path, buffer.getvalue())


def load(path: Path) -> RegionRecord:
    """Reads what `save` wrote. Raises InputError where the file is missing, damaged or older."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            if archive["levels"].tolist() != [*LEVELS.tolist(), STEPS]:
                raise ValueError("other thresholds")
            arrays: dict[str, Any] = {name: archive[name] for name in ARRAYS}
            tables: dict[str, Any] = {
                part: pd.DataFrame({name: archive[f"{part}.{name}"] for name in columns})
                for part, columns in COLUMNS.items()
            }
        classes = tuple(arrays.pop("classes").tolist())
        shape = (len(arrays["names"]), len(classes), len(LEVELS))
        if arrays["left_out"].shape != shape or arrays["above"].shape != (*shape, 2):
            raise ValueError("arrays of different pictures")
        return RegionRecord(classes=classes, **arrays, **tables)
    except Exception as error:  # zipfile, zlib and NumPy raise errors of many types
        raise InputError(
            f"{path}: missing or damaged, expected the regions of an evaluation: score the run "
            "again with `flexunet evaluate run=RUN`."
        ) from error
