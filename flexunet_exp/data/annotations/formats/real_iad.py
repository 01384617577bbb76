"""Real-IAD: thirty objects, each part photographed by five cameras.

`OBJECT/OK/SNNNN/*.jpg` and `OBJECT/NG/TYPE/SNNNN/*.jpg`; `realiad_jsons/OBJECT.json` lists them
under train and test, with the type of the defect and the mask of each (null without one), as
anomalib 2.7.0 reads it (data/datasets/image/realiad.py). The suffix of the masks is whatever the
JSON says.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from flexunet_exp.data.annotations.checked_json import member, want
from flexunet_exp.data.annotations.formats.format import each
from flexunet_exp.data.annotations.formats.mask_pictures import bright_half
from flexunet_exp.data.annotations.formats.public import (
    HALF_RULE,
    PublicSet,
    class_names,
    no_mask,
)
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.records import Export, Labelled
from flexunet_exp.errors import InputError

GOOD = "OK"
BASE = "realiad_jsons"  # the folder of the files that list all views


class RealIad(PublicSet):
    """Real-IAD; of several JSON files of an object, the one that lists all views counts."""

    title = "Real-IAD"
    layout = "realiad_jsons/OBJECT.json, with realiad_1024/OBJECT/NG/TYPE/S0001/NAME.jpg"
    suffixes = (".json",)
    terms = (
        "Real-IAD: CC BY-NC-SA 4.0 (no commercial use). Cite: Wang et al.: Real-IAD: A Real-World "
        "Multi-View Dataset for Benchmarking Versatile Industrial Anomaly Detection, CVPR 2024"
    )

    def recognises(self, place: Place) -> bool:
        return any(is_list(place.json(path)) for path in place.of_suffix(".json")[:4])

    def matches(self, place: Place, path: Path) -> bool:
        return is_list(place.json(path))

    def read(self, place: Place) -> Export:
        files = lists_of(place)
        check_one_size(place)
        name = class_names(files)
        entries = [*each(files.items(), lambda pair: entries_of(place, *pair))]
        rows = [row for found in entries for row in found]
        problems: list[str] = []
        pictures = [*each(rows, lambda row: picture_of(place, *row, name, problems))]
        return self.export(
            place,
            pictures,
            sorted({one.label for one in pictures if one.label}),
            files=files.values(),
            problems=problems,
            notes=[HALF_RULE],
        )


def is_list(content: Any) -> bool:
    """Whether a JSON is a list of Real-IAD, by its first entry."""
    if not isinstance(content, dict):
        return False
    listed = next((content[key] for key in ("test", "train") if content.get(key)), None)
    first = listed[0] if isinstance(listed, list) else None
    return isinstance(first, dict) and {"image_path", "mask_path", "anomaly_class"} <= first.keys()


def lists_of(place: Place) -> dict[str, Path]:
    """The JSON file of each object: of several, the one in the folder realiad_jsons."""
    found: dict[str, list[Path]] = {}
    for path in place.of_suffix(".json"):
        if is_list(place.json(path)):
            found.setdefault(path.stem, []).append(path)
    chosen = {}
    for thing, paths in found.items():
        base = [path for path in paths if path.parent.name == BASE]
        if len(paths) > 1 and len(base) != 1:
            names = ", ".join(map(place.shown, paths))
            raise InputError(
                f"{place.given}: several lists of {thing}: {names}. Give one of their folders as "
                "input= and that of the pictures as images="
            )
        chosen[thing] = base[0] if base else paths[0]
    return chosen


def check_one_size(place: Place) -> None:
    """Raises InputError where the pictures are there in several sizes."""
    sizes = {part for path in place.pictures.by_path for part in PurePosixPath(path).parts[:-1]
             if part.startswith("realiad_")}  # fmt: skip
    if len(sizes) > 1:
        named = ", ".join(sorted(sizes))
        raise InputError(
            f"{place.pictures.folder}: the pictures are there in several sizes: {named}. Name the "
            f"folder of one: images={place.pictures.folder / max(sizes, key=len)}"
        )


def entries_of(place: Place, thing: str, path: Path) -> list[tuple[str, str, dict, str]]:
    """Object, split, entry and its place of all that a JSON lists."""
    content = place.json(path)
    return [
        (thing, split, want(node, dict, f"{place.shown(path)} {split}[{index}]"),
         f"{place.shown(path)} {split}[{index}]")
        for split in ("train", "test")
        for index, node in enumerate(member(content, split, list, place.shown(path), []))
    ]  # fmt: skip


def picture_of(
    place: Place, thing: str, split: str, node: dict, where: str, name: Any, problems: list[str]
) -> Labelled:
    own = member(node, "image_path", str, where)
    kind = member(node, "anomaly_class", str, where)
    given = member(node, "mask_path", str, where, None)
    file = place.pictures.find(f"{thing}/{own}")
    label = "" if kind == GOOD else name(thing, kind)
    mask = place.pictures.find(f"{thing}/{given}") if given else None
    if file and label and not mask:
        problems.append(no_mask(place, file, given or f"({where}: mask_path is null)"))
    return Labelled(
        f"{thing}/{own}",
        file,
        split=split,
        masks=(bright_half(mask, label, is_defect=True),) if mask and label else (),
        label=label,
        source=f"{thing}/{PurePosixPath(own).parent}",
        written_in=where,
    )
