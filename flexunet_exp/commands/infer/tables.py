"""regions.csv and summary.csv: all records of the folder, and the refused pictures."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flexunet_exp.commands.infer.records import Record, Records
from flexunet_exp.data.find_pictures import Picture
from flexunet_exp.data.volumes.volume import suffix_of
from flexunet_exp.prediction import deciding
from flexunet_exp.prediction.regions import Region
from flexunet_exp.system.files import whole_or_nothing

Row = Sequence[Any]

DECIDED = ("decision", "reasons", "margin")
UNSURE = ("uncertainty",)


def write(
    folder: Path,
    done: Records,
    refused: Mapping[Picture, str],
    class_names: Sequence[str],
    decides: bool = False,
    measures: bool = False,
) -> None:
    """Writes both tables anew, sorted by file; memory does not grow with the number of regions.

    Where a decision was applied (`decides`), or uncertainty measured (`measures`), the summary has
    columns for it. Where there are volumes, both tables have a column for slices, which is empty
    for pictures.
    """
    deep = any(map(suffix_of, done.entries))
    write_csv(folder / "regions.csv", region_header(deep), region_rows(done, refused, deep))
    more = (*(DECIDED if decides else ()), *(UNSURE if measures else ()))
    rows = summary_rows(done, refused, class_names[1:], more, deep)
    write_csv(folder / "summary.csv", summary_header(class_names[1:], more, deep), rows)


def write_csv(path: Path, header: Row, rows: Iterable[Row]) -> None:
    # File names that are not valid UTF-8 are written as their original bytes.
    with (
        whole_or_nothing(path) as part,
        open(part, "w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def records(done: Records, refused: Mapping[Picture, str]) -> Iterator[Record]:
    """The records sorted by file, without those of pictures that are refused now."""
    without = {picture.path for picture in refused}
    for path, entry in sorted(done.entries.items(), key=lambda item: item[1].file):
        if path not in without:
            yield done.record(entry)


def region_header(deep: bool) -> Row:
    return ("file", *["slice"] * deep, "class", *Region._fields[1:])


def region_rows(done: Records, refused: Mapping[Picture, str], deep: bool) -> Iterator[Row]:
    for record in records(done, refused):
        slices: Row = record.slices or [""] * len(record.regions)
        for index, region in zip(slices, record.regions, strict=True):
            yield (record.file, *[index] * deep, *region)


def summary_header(defects: Sequence[str], more: Sequence[str] = (), deep: bool = False) -> Row:
    """The columns; `more` of them for what was asked, such as `DECIDED`; `deep` with volumes."""
    sides = ("width", "height", *["slices"] * deep)
    measured = (*sides, "num_regions", "defect_area", "share", "dominant_class")
    areas = [f"area/{name}" for name in defects]
    return ("file", "mask", *measured, *areas, "anomaly", *more, "status", "error")


def summary_rows(
    done: Records,
    refused: Mapping[Picture, str],
    defects: Sequence[str],
    more: Sequence[str] = (),
    deep: bool = False,
) -> Iterator[Row]:
    """One row per picture; refused ones have only the reason, and come last."""
    for record in records(done, refused):
        yield summary_row(record, defects, more, deep)
    blank = [""] * (len(summary_header(defects, more, deep)) - 3)
    for picture, reason in sorted(refused.items(), key=lambda item: item[0].file):
        yield (picture.file, *blank, "refused", reason)


def summary_row(
    record: Record, defects: Sequence[str], more: Sequence[str] = (), deep: bool = False
) -> Row:
    areas: Counter[str] = Counter()
    for region in record.regions:
        areas[region.label] += region.area
    total = areas.total()
    share = f"{total / (record.width * record.height * record.depth):.6g}"
    suffix = suffix_of(record.path)
    slices = [record.depth if suffix else ""] * deep
    dominant = max(areas, key=lambda name: areas[name], default="")
    return (
        *(record.file, f"masks/{record.name}{suffix or '.png'}"),
        *(record.width, record.height, *slices),
        *(len(record.regions), total, share, dominant),
        *(areas[name] for name in defects),
        record.anomaly,
        *(asked(record)[name] for name in more),
        *("ok", ""),
    )


def asked(record: Record) -> dict[str, Any]:
    """The columns for what was asked: a decision's, and the uncertainty; empty where undefined."""
    margin = record.margin
    return {
        "decision": None if margin is None else deciding.outcome(margin),
        "reasons": "; ".join(deciding.reasons(record.regions)),
        "margin": margin,
        "uncertainty": record.uncertainty,
    }
