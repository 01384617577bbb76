"""Magnetic Tile: six folders of pictures, each with a mask beside it.

`MT_KIND/Imgs/NAME.jpg` with `NAME.png`, as the set of github.com/abin24/
Magnetic-tile-defect-datasets is unpacked. The masks have soft edges: nearly all hold many grey
values. Their pixels count from 128 on. The masks of MT_Free are black.
"""

from __future__ import annotations

from pathlib import Path

from flexunet_exp.data.annotations.formats.mask_pictures import HALF, from_value_on
from flexunet_exp.data.annotations.formats.public import (
    PublicSet,
    by_table,
    left_over,
    no_mask,
    parts_of,
)
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.records import Export, Labelled, Stored

KINDS = ("Blowhole", "Break", "Crack", "Fray", "Uneven")
FREE = "Free"
RULE = (
    f"The masks have soft edges: pixels count from {HALF} on. From 1 on, cracks would be "
    "half as large again; at 255 alone, half as large."
)


class MagneticTile(PublicSet):
    """Magnetic Tile."""

    title = "Magnetic Tile"
    layout = "MT_Crack/Imgs/NAME.jpg, with MT_Crack/Imgs/NAME.png"
    suffixes = (".jpg", ".png")
    terms = (
        "Magnetic Tile: no licence is given; its authors ask to be cited: Huang, Qiu, Guo, Wang, "
        "Yuan: Surface defect saliency of magnetic tile, The Visual Computer 36, 2020, doi "
        "10.1007/s00371-018-1588-5"
    )

    def matches(self, place: Place, path: Path) -> bool:
        return bool(kind_of(place, path))

    def read(self, place: Place) -> Export:
        files = [path for path in place.of_suffix(*self.suffixes) if kind_of(place, path)]
        masks = {path.with_suffix(""): path for path in files if path.suffix.lower() == ".png"}
        shots = [path for path in files if path.suffix.lower() == ".jpg"]
        pictures, problems = [], []
        for path in shots:
            kind, mask = kind_of(place, path), masks.pop(path.with_suffix(""), None)
            if mask is None and kind != FREE:
                problems.append(no_mask(place, path, f"{path.stem}.png beside it"))
            pictures.append(
                Labelled(
                    place.shown(path),
                    path,
                    masks=(mask_of(mask, kind),) if mask else (),
                    label="" if kind == FREE else kind,
                )
            )
        notes = [RULE, *left_over(masks.values(), place)]
        return self.export(place, pictures, KINDS, problems=problems, notes=notes)


def kind_of(place: Place, path: Path) -> str:
    """The kind of the folder that a file of the set lies in; empty of other files."""
    folder, inner, _ = ("", "", *parts_of(place, path))[-3:]
    kind = folder.removeprefix("MT_")
    is_known = inner == "Imgs" and folder.startswith("MT_") and kind in (*KINDS, FREE)
    return kind if is_known else ""


def mask_of(path: Path, kind: str) -> Stored:
    if kind == FREE:
        return by_table(path, {})
    return from_value_on(path, kind, is_defect=True)
