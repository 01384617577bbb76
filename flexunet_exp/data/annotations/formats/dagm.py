"""DAGM 2007: ten synthetic textures with one kind of defect each.

`ClassN/[ClassN/]{Train,Test}/NNNN.PNG` with `Label/NNNN_label.PNG` for the pictures with a defect
alone, as github.com/vicoslab/mixed-segdec-net-comind2021, data/input_dagm.py, reads it. A label is
an ellipse around the defect, not its outline.
"""

from __future__ import annotations

import re
from pathlib import Path

from flexunet_exp.data.annotations.formats.public import (
    PublicSet,
    by_table,
    class_names,
    left_over,
    parts_of,
)
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.records import Export, Labelled

ELLIPSES = "A mask of DAGM is an ellipse around its defect: scores against it say little of edges."
LABEL = re.compile(r"(?P<stem>\d+)_label")


class Dagm(PublicSet):
    """DAGM 2007."""

    title = "DAGM 2007"
    layout = "Class1/Train/0001.PNG, with Class1/Train/Label/0001_label.PNG"
    suffixes = (".png",)
    terms = (
        "DAGM 2007: licence as its page says, https://zenodo.org/records/12750201. Cite: Wieler, "
        "Hahn: Weakly Supervised Learning for Industrial Optical Inspection, 29th DAGM Symposium, "
        "2007"
    )

    def matches(self, place: Place, path: Path) -> bool:
        return place_of(place, path) is not None

    def read(self, place: Place) -> Export:
        shots: dict[tuple[str, str, str], Path] = {}
        masks: dict[tuple[str, str, str], Path] = {}
        for path in place.of_suffix(*self.suffixes):
            if key := place_of(place, path):
                (masks if path.parent.name == "Label" else shots)[key] = path
        name = class_names(thing for thing, _, _ in shots)
        pictures = []
        for key, path in shots.items():
            thing, part, _ = key
            label, mask = name(thing, "defect"), masks.get(key)
            pictures.append(
                Labelled(
                    place.shown(path),
                    path,
                    split=part.lower(),
                    masks=(by_table(mask, {255: label}, is_defect=True),) if mask else (),
                    label=label if mask else "",
                )
            )
        classes = dict.fromkeys(name(thing, "defect") for thing, _, _ in shots)
        extra = [masks[key] for key in sorted(masks.keys() - shots.keys())]
        return self.export(place, pictures, classes, notes=[ELLIPSES, *left_over(extra, place)])


def place_of(place: Place, path: Path) -> tuple[str, str, str] | None:
    """Class, Train or Test, and number of a picture or its label; None of other files."""
    parts = list(parts_of(place, path))
    stem = path.stem
    if path.parent.name == "Label":
        fit = LABEL.fullmatch(stem)
        if fit is None:
            return None
        stem = fit["stem"]
        del parts[-2]
    if len(parts) < 3 or parts[-2] not in ("Train", "Test") or not stem.isdigit():
        return None
    return (parts[-3], parts[-2], stem) if re.fullmatch(r"Class\d+", parts[-3]) else None
