"""Public sets in folders like those of MVTec AD: MPDD, BTAD and MVTec AD 2.

`OBJECT/train/good`, `OBJECT/test/KIND/NAME` and `OBJECT/ground_truth/KIND/NAME_mask`, as anomalib
2.7.0 reads them (mpdd.py, btech.py and mvtecad2.py of its data/datasets/image). BTAD has good
pictures in `ok`, and masks called like their pictures with a suffix of their own. MVTec AD 2 has
`test_public/{good,bad,ground_truth/bad}`, and two test parts without any truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from flexunet_exp.data.annotations.formats.mask_pictures import bright_half
from flexunet_exp.data.annotations.formats.public import (
    HALF_RULE,
    PublicSet,
    class_names,
    left_over,
    no_mask,
    parts_of,
)
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.records import Export, Labelled, Stored

SPLITS = {"train": "train", "validation": "valid", "test": "test", "test_public": "test"}
GOOD = ("good", "ok")
PRIVATE = ("test_private", "test_private_mixed")
TRUTH = "ground_truth"
ONE_KIND = ("bad", "ko")  # folders of all defects together
BY_NC_SA = "CC BY-NC-SA 4.0 (no commercial use)."


class Shot(NamedTuple):
    """A picture, by its place."""

    path: Path
    thing: str
    split: str
    kind: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.thing, self.kind, self.path.stem


Masks = dict[tuple[str, str, str], list[Path]]  # of each picture's key


class MVTecFamily(PublicSet):
    """A set whose masks are black and white, the folder naming the defect."""

    things: tuple[str, ...]  # the names of its objects
    layout = "OBJECT/test/KIND/NAME.png, with OBJECT/ground_truth/KIND/NAME_mask.png"

    def matches(self, place: Place, path: Path) -> bool:
        found = shot_of(place, path)
        return found is not None and found.thing in self.things

    def read(self, place: Place) -> Export:
        files = place.of_suffix(*self.suffixes)
        shots = [shot for path in files if (shot := shot_of(place, path))]
        masks = masks_of(place, files)
        problems: list[str] = []
        things = {shot.thing for shot in shots}
        tables, name = self.tables(place, things), class_names(things)
        pictures = []
        for shot in shots:
            found = masks.get(shot.key, [])
            if not found and shot.kind not in GOOD:
                problems.append(no_mask(place, shot.path, f"in {TRUTH}/{shot.kind}"))
            defect = "defect" if shot.kind in ONE_KIND else shot.kind
            label = name(shot.thing, defect) if shot.kind not in GOOD else ""
            pictures.append(self.picture(place, shot, found, label, tables.get(shot.thing, {})))
        classes = [label for table in tables.values() for label in table.values()]
        known = {shot.key for shot in shots}
        extra = [path for key, paths in masks.items() if key not in known for path in paths]
        return self.export(
            place,
            pictures,
            dict.fromkeys([*classes, *sorted({one.label for one in pictures if one.label})]),
            files=self.said_by(place),
            problems=problems,
            notes=[*left_over(extra, place), *without_truth(place, files), *self.rules()],
        )

    def tables(self, place: Place, things: set[str]) -> dict[str, dict[int, str]]:
        """The labels of the values in an object's masks, of a set that has such a table."""
        return {}

    def said_by(self, place: Place) -> list[Path]:
        return []

    def rules(self) -> list[str]:
        return [HALF_RULE]

    def picture(
        self, place: Place, shot: Shot, masks: list[Path], label: str, table: Mapping[int, str]
    ) -> Labelled:
        """A picture whose masks, if any, show the defect of one label."""
        read = tuple(self.mask(path, label, table) for path in masks) if label else ()
        known = "" if table else label
        return Labelled(
            place.shown(shot.path), shot.path, split=shot.split, masks=read, label=known
        )

    def mask(self, path: Path, label: str, table: Mapping[int, str]) -> Stored:
        return bright_half(path, label, is_defect=True)


def shot_of(place: Place, path: Path) -> Shot | None:
    """What a picture's place says; None of a mask, and of a picture that lies elsewhere."""
    thing, split, kind, _ = ("", "", "", "", *parts_of(place, path))[-4:]
    if split not in SPLITS or TRUTH in (thing, kind):
        return None
    return Shot(path, thing, SPLITS[split], kind)


def masks_of(place: Place, files: list[Path]) -> Masks:
    """The masks of each picture: OBJECT/[test_public/]ground_truth/KIND/(NAME[_mask]|NAME/*)."""
    found: Masks = {}
    for path in files:
        parts = parts_of(place, path)
        if TRUTH not in parts[:-2]:
            continue
        start = len(parts) - 1 - parts[::-1].index(TRUTH)
        above = [part for part in parts[:start] if part not in SPLITS]
        kind, name = parts[start + 1 : start + 3]
        stem = name if len(parts) > start + 3 else path.stem.removesuffix("_mask")
        found.setdefault((above[-1] if above else "", kind, stem), []).append(path)
    return found


def without_truth(place: Place, files: list[Path]) -> list[str]:
    number = sum(path.parent.name in PRIVATE for path in files)
    if not number:
        return []
    return [f"{number} pictures of {' and '.join(PRIVATE)} are left out: their truth is secret."]


class Mpdd(MVTecFamily):
    """Painted metal parts."""

    title = "MPDD"
    things = (
        "bracket_black", "bracket_brown", "bracket_white", "connector", "metal_plate", "tubes",
    )  # fmt: skip
    terms = (
        f"MPDD: {BY_NC_SA} Cite: Jezek, Jonak, Burget, Dvorak, Skotak: Deep learning-based defect "
        "detection of metal parts, ICUMT 2021, doi 10.1109/ICUMT54235.2021.9631567"
    )


class Btad(MVTecFamily):
    """Three industrial products, called by their numbers."""

    title = "BTAD"
    things = ("01", "02", "03")
    layout = "01/test/ko/NAME.bmp, with 01/ground_truth/ko/NAME.png"
    terms = (
        f"BTAD: {BY_NC_SA} Cite: Mishra, Verk, Fornasier, Piciarelli, Foresti: VT-ADL: A Vision "
        "Transformer Network for Image Anomaly Detection and Localization, ISIE 2021"
    )

    def matches(self, place: Place, path: Path) -> bool:
        return super().matches(place, path) and path.parent.name in ("ok", "ko")


class MVTecAd2(MVTecFamily):
    """MVTec AD 2; its private test parts have no public truth and are left out."""

    title = "MVTec AD 2"
    things = (
        "can", "fabric", "fruit_jelly", "rice", "sheet_metal", "vial", "wallplugs", "walnuts",
    )  # fmt: skip
    layout = "OBJECT/test_public/bad/NAME.png, with test_public/ground_truth/bad/NAME_mask.png"
    terms = (
        f"MVTec AD 2: {BY_NC_SA} Cite: Heckler-Kram, Neudeck, Scheler, König, Steger: The MVTec AD "
        "2 Dataset: Advanced Scenarios for Unsupervised Anomaly Detection, arXiv 2503.21622"
    )

    def matches(self, place: Place, path: Path) -> bool:
        return super().matches(place, path) and "test_public" in parts_of(place, path)
