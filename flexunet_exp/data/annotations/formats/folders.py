"""anomalib's folders: normal pictures, a folder for each kind of defect, and their masks.

`good/`, `crack/`, `mask/crack/` as in its own toy set, or `normal/`, `abnormal/`, `mask/`. A mask
has the stem of its picture. anomalib takes every value above 0 for the defect; here a mask must
hold one such value, or `threshold=128` says from where on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from flexunet_exp.data.annotations.formats.format import Format
from flexunet_exp.data.annotations.formats.mask_pictures import from_value_on, grey
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.raster import Tool
from flexunet_exp.data.annotations.records import Class, Export, Labelled, Stored
from flexunet_exp.data.folders.listing import IMAGE_SUFFIXES
from flexunet_exp.data.grouping import Problem, first_of
from flexunet_exp.errors import InputError

NORMAL = ("good", "normal", "ok")
MASKS = ("mask", "masks", "ground_truth")


class Folders(Format):
    """The folders lie side by side; each folder of defects is a class."""

    title = "anomalib folders"
    options = ("threshold",)

    def recognises(self, place: Place) -> bool:
        folders = folders_in(place)
        kinds = [name for name in folders if name.lower() not in (*NORMAL, *MASKS)]
        return bool(kinds and one_of(folders, NORMAL) and one_of(folders, MASKS))

    def read(self, place: Place) -> Export:
        folders = folders_in(place)
        good, masks = one_of(folders, NORMAL), one_of(folders, MASKS)
        kinds = {name: files for name, files in folders.items() if name not in (good, masks)}
        pictures = [Labelled(place.shown(path), path) for path in folders[good]]
        by_stem = of_stems(folders[masks])
        for kind, files in kinds.items():
            pictures += [
                labelled(place, path, kind, mask_of(path, kind, by_stem)) for path in files
            ]
        used = {stored.path for one in pictures for stored in one.masks}
        unused = [path for path in folders[masks] if path not in used]
        problems = [*without_picture(place, [path for path in unused if not of_good(path)])]
        notes = [f"Masks: values from {rule} on are the defect." for rule in threshold_of(place)]
        return Export(
            Tool("masks"),
            tuple(map(Class, kinds)),
            tuple(pictures),
            problems=problems,
            notes=notes,
        )


def folders_in(place: Place) -> dict[str, list[Path]]:
    """Name → the pictures of each folder right below the export."""
    found: dict[str, list[Path]] = {}
    for path in place.files:
        parts = path.relative_to(place.root).parts
        if len(parts) > 1 and path.suffix.lower() in IMAGE_SUFFIXES:
            found.setdefault(parts[0], []).append(path)
    return found


def one_of(folders: dict[str, list[Path]], words: tuple[str, ...]) -> str:
    """The one folder that has one of some names; empty where there is none, or several."""
    found = [name for name in folders if name.lower() in words]
    return found[0] if len(found) == 1 else ""


def of_good(mask: Path) -> bool:
    return mask.parent.name.lower() in NORMAL


def threshold_of(place: Place) -> Iterator[int]:
    if threshold := place.options.get("threshold"):
        yield threshold


def of_stems(masks: list[Path]) -> dict[str, list[Path]]:
    """Stem of a picture → its masks; a mask may have `_mask` behind the stem."""
    found: dict[str, list[Path]] = {}
    for path in masks:
        found.setdefault(path.stem.removesuffix("_mask"), []).append(path)
    return found


def mask_of(picture: Path, kind: str, masks: dict[str, list[Path]]) -> Path | None:
    """The one mask of a picture in mask/KIND/, or else in mask/."""
    same = masks.get(picture.stem.removesuffix("_mask"), [])
    own = [path for path in same if path.parent.name == kind]
    found = own or [path for path in same if path.parent.name.lower() in MASKS]
    return found[0] if len(found) == 1 else None


def labelled(place: Place, path: Path, kind: str, mask: Path | None) -> Labelled:
    return Labelled(
        place.shown(path),
        path,
        masks=(stored(place, mask, kind),) if mask else (),
        done=mask is not None,
        written_in=place.shown(mask) if mask else "",
    )


def stored(place: Place, mask: Path, kind: str) -> Stored:
    for threshold in threshold_of(place):
        return from_value_on(mask, kind, threshold, is_defect=True)
    return Stored(mask, (kind,), lambda: of_one_value(mask), is_defect=True)


def of_one_value(path: Path) -> np.ndarray:
    """1 where a mask is not 0. Raises InputError where it has several such values."""
    found, indices = grey(path)
    if np.count_nonzero(indices) > 1:
        pairs = zip(indices, found.counts, strict=True)
        raise InputError(
            Problem(
                path,
                "a mask of several grey values",
                "Say from which value on it is the defect: threshold=128",
                "masks hold several grey values",
                {str(value): int(count) for value, count in pairs},
            )
        )
    return found.spread((indices > 0).astype(np.uint8))


def without_picture(place: Place, masks: list[Path]) -> Iterator[str]:
    if masks:
        shown = first_of([place.shown(path) for path in masks])
        yield f"{len(masks)} masks have no picture of their name in a folder of defects: {shown}"
