"""VisA: twelve objects, with class numbers in the masks.

`OBJECT/Data/Images/{Normal,Anomaly}/NNNN.JPG` with `OBJECT/Data/Masks/Anomaly/NNNN.png` for the
anomalies; the numbers are those of the table id2class in github.com/amazon-science/spot-diff
(utils/id2class.py), the splits those of its split_csv. The set as that repository reorganises it
for one class has 255 in all masks: its classes are lost.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path

from flexunet_exp.data.annotations.checked_json import read_text
from flexunet_exp.data.annotations.formats.public import (
    PublicSet,
    by_table,
    class_names,
    left_over,
    no_mask,
    parts_of,
)
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.records import Export, Labelled
from flexunet_exp.errors import InputError

PCB = "bent, melt, scratch, missing"
# The defects of each object by their numbers from 1 on.
DEFECTS = {
    "candle": "chunk of wax missing, damaged corner of packaging, weird candle wick, different "
    "colour spot, extra wax in candle, foreign particals on candle, wax melded out of the candle, "
    "other",
    "capsules": "bubble, discolor, scratch, leak, misshape",
    "fryum": "burnt, corner or edge breakage, different colour spot, fryum stuck together, middle "
    "breakage, similar colour spot, small scratches, other",
    "cashew": "burnt, corner or edge breakage, different colour spot, middle breakage, small "
    "holes, small scratches, stuck together, same colour spot, other",
    "chewinggum": "chunk of gum missing, corner missing, scratches, similar colour spot, small "
    "cracks, other",
    "macaroni1": "chip around edge and corner, different colour spot, middle breakage, similar "
    "colour spot, small cracks, small scratches, other",
    "macaroni2": "breakage down the middle, color spot similar to the object, different color "
    "spot, small chip around edge, small cracks, small scratches, other",
    "pcb1": PCB,
    "pcb2": PCB,
    "pcb3": PCB,
    "pcb4": "burnt, scratch, missing, damage, extra, wrong place, dirt",
    "pipe_fryum": "burnt, corner and edge breakage, different colour spot, middle breakage, "
    "similar colour spot, small scratches, stuck together, small cracks, other",
}
PLACE = re.compile(r"(?P<thing>[^/]+)/Data/(?P<kind>Images|Masks)/(?P<state>Normal|Anomaly)/[^/]+")
SPLIT = "split_csv/2cls_highshot.csv"  # the one with most anomalies in train


class VisA(PublicSet):
    """VisA as it is downloaded."""

    title = "VisA"
    layout = "OBJECT/Data/Images/Anomaly/000.JPG, with OBJECT/Data/Masks/Anomaly/000.png"
    suffixes = (".jpg", ".png")
    terms = (
        "VisA: CC BY 4.0. Cite: Zou, Jeong, Pemula, Zhang, Dabeer: SPot-the-Difference "
        "Self-Supervised Pre-training for Anomaly Detection and Segmentation, ECCV 2022"
    )

    def matches(self, place: Place, path: Path) -> bool:
        return PLACE.fullmatch(tail(place, path)) is not None

    def read(self, place: Place) -> Export:
        shots: dict[tuple[str, str, str], Path] = {}
        masks: dict[tuple[str, str, str], Path] = {}
        for path in place.of_suffix(*self.suffixes):
            if fit := PLACE.fullmatch(tail(place, path)):
                found = shots if fit["kind"] == "Images" else masks
                found[fit["thing"], fit["state"], path.stem] = path
        tables = tables_of(place, [thing for thing, _, _ in shots])
        file, splits = splits_of(place)
        pictures, problems = [], []
        for key, path in shots.items():
            thing, state, _ = key
            mask = masks.pop(key, None)
            if mask is None and state == "Anomaly":
                problems.append(no_mask(place, path, f"Data/Masks/Anomaly/{path.stem}.png"))
            is_defect = state == "Anomaly"
            read = (by_table(mask, tables[thing], is_defect),) if mask else ()
            split = splits.get(tail(place, path), "")
            pictures.append(Labelled(place.shown(path), path, split=split, masks=read))
        return self.export(
            place,
            pictures,
            [label for table in tables.values() for label in table.values()],
            files=file,
            problems=problems,
            notes=left_over(masks.values(), place),
        )


def tail(place: Place, path: Path) -> str:
    """The last five parts of a path, as the split files have them."""
    return "/".join(parts_of(place, path)[-5:])


def tables_of(place: Place, things: list[str]) -> dict[str, dict[int, str]]:
    """Number → label of each object; InputError for one that VisA does not have."""
    if unknown := sorted(set(things) - DEFECTS.keys()):
        raise InputError(
            f"{place.given}: VisA has no object {unknown[0]}, so the numbers in its masks have no "
            f"names. Expected {', '.join(DEFECTS)}"
        )
    name = class_names(things)
    return {
        thing: {
            number: name(thing, defect.replace(" ", "_"))
            for number, defect in enumerate(DEFECTS[thing].split(", "), start=1)
        }
        for thing in sorted(set(things))
    }


def splits_of(place: Place) -> tuple[list[Path], Mapping[str, str]]:
    """The file of the splits, where there is one, and the split of each picture in it."""
    files = [path for path in place.of_suffix(".csv") if path.as_posix().endswith(SPLIT)]
    if not files:
        return [], {}
    try:
        rows = [*csv.DictReader(read_text(files[0]).splitlines())]
        return files[:1], {row["image"]: row["split"] for row in rows}
    except (csv.Error, KeyError) as error:
        raise InputError(
            f"{place.shown(files[0])}: expected the columns object, split, label, image and mask."
        ) from error
