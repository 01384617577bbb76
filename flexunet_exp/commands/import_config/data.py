"""The keys of the data: sizes, folders, masks and the colour map."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flexunet_exp.commands.import_config import class_names
from flexunet_exp.commands.import_config.class_names import Colour
from flexunet_exp.commands.import_config.keys import (
    MEANT,
    NO_EFFECT,
    TAKEN,
    UNSUPPORTED,
    Key,
    Outcome,
    Project,
    Table,
    no_effect,
    said,
    unsupported,
)
from flexunet_exp.config.rules import Rule, at_least, count, flag, is_int, is_text

BLACK = (0, 0, 0)
DEFAULT_MAP = {BLACK: 0, (0, 255, 0): 1, (255, 0, 0): 2, (0, 0, 255): 3}  # of the original
ONE_DEFECT = {BLACK: 0, (255, 255, 255): 1}
Entries = list[dict[str, Any]]  # of classes: name, color and, in masks, class
SIDE = at_least(8, 512)
TEXT = Rule(is_text, "a text in quotes", "'RGB'")


class Palette(NamedTuple):
    """The classes: their colours, background first, and what happened to the map's order."""

    colours: list[Colour]
    says: str = ""


def is_map(value: Any) -> bool:
    return isinstance(value, dict) and len(value) >= 2 and all(map(is_colour, value.items()))


def is_colour(pair: tuple[Any, Any]) -> bool:
    key, index = pair
    triple = isinstance(key, tuple) and len(key) == 3
    return triple and is_int(index) and all(is_int(one) and 0 <= one <= 255 for one in key)


MAP = Rule(
    is_map, "{(red, green, blue): class} with two colours or more", "{(0,0,0): 0, (255,0,0): 1}"
)


def palette_of(project: Project) -> Palette:
    """The classes of a file's colour map, or of the original's default."""
    return ordered(map_of(project), project.faithful)


def map_of(project: Project) -> Mapping[Colour, int]:
    """The colour map that counts: rgb_map, else color_map, which the original did not read."""
    given, ignored = project.get("mask", "rgb_map"), project.get("mask", "color_map")
    if given is None and not project.faithful:
        given = ignored
    if given is None:
        is_one_defect = not ignored and project.get("model", "num_classes") == 1
        return ONE_DEFECT if is_one_defect else DEFAULT_MAP
    return given


def merged_map(project: Project) -> Mapping[Colour, int] | None:
    """The colour map of the masks, where the original read it as its default map."""
    ignored = project.get("mask", "color_map")
    is_read = project.get("mask", "rgb_map") is not None or not project.faithful
    return None if is_read or not ignored or set(ignored) <= set(DEFAULT_MAP) else ignored


def ordered(colours: Mapping[Colour, int], faithful: bool) -> Palette:
    """The map by its values; by its order, as the original counted, if `faithful`."""
    listed = list(colours)
    meant = sorted(listed, key=lambda one: (one != BLACK, colours[one]))
    worked = [BLACK, *(one for one in listed if one != BLACK)]
    if meant == worked:
        return Palette(meant)
    if faithful:
        return Palette(worked, "in the order of the map, which the original counted by")
    return Palette(meant, "by its values; the original counted by the order of the map")


def map_problems(project: Project) -> Iterator[str]:
    """A map without black, two colours of one class, a number of classes that contradicts it."""
    colours = merged_map(project) or map_of(project)
    if BLACK not in colours:
        yield "[mask] rgb_map has no (0, 0, 0), the background; expected {(0, 0, 0): 0, …}"
    values = list(colours.values())
    if twice := sorted({one for one in values if values.count(one) > 1}):
        yield f"[mask] rgb_map has several colours of class {twice[0]}; expected one each"
    number = project.get("model", "num_classes")
    if map_of(project) is DEFAULT_MAP and project.get("mask", "color_map"):
        return  # the original trained the classes of its default map alone
    if number not in (None, len(colours)) and not (number == 1 and len(colours) == 2):
        yield (
            f"[model] num_classes = {number}, but the colour map has {len(colours)} colours, "
            "background included. Correct one of them"
        )


def classes(palette: Palette, comment: Sequence[str]) -> Entries:
    """dataset.classes, with the names in the comment where it has them."""
    defects = palette.colours[1:]
    names = class_names.names_of(comment, defects)
    names = names or [f"class_{number}" for number in range(1, len(defects) + 1)]
    listed = zip(["background", *names], palette.colours, strict=True)
    return [{"name": name, "color": list(colour)} for name, colour in listed]


def classes_of(project: Project, comment: Sequence[str]) -> tuple[Entries, Entries]:
    """dataset.classes, and dataset.layout.mask_classes: [] where the masks hold the former."""
    held = merged_map(project)
    return merged(held, comment) if held else (classes(palette_of(project), comment), [])


def merged(held: Mapping[Colour, int], comment: Sequence[str]) -> tuple[Entries, Entries]:
    """The default map's classes, and those of the masks.

    A class of the masks is that of the nearest colour (squared RGB distance, ties to the first).
    The name of a class joins those of its classes in the masks; one without any is called by its
    number, as none of them is.
    """
    of_masks = classes(ordered(held, faithful=True), comment)
    nearest = [min(DEFAULT_MAP, key=lambda one: distance(one, each["color"])) for each in of_masks]
    listed, taken = [], {each["name"] for each in of_masks}
    word = "default" if taken & {f"class_{number}" for number in DEFAULT_MAP.values()} else "class"
    for number, colour in enumerate(DEFAULT_MAP):
        joined = [
            each["name"] for each, near in zip(of_masks, nearest, strict=True) if near == colour
        ]
        name = "_or_".join(joined) or f"{word}_{number}"
        listed.append({"name": name if number else "background", "color": list(colour)})
    name_of = dict(zip(DEFAULT_MAP, (one["name"] for one in listed), strict=True))
    return listed, [
        {**each, "class": name_of[near]} for each, near in zip(of_masks, nearest, strict=True)
    ]


def distance(one: Colour, other: Sequence[int]) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def colour_map(value: Any, project: Project) -> Outcome:
    palette = palette_of(project)
    return Outcome(MEANT if palette.says else TAKEN, f"dataset.classes{reason(palette.says)}")


def reason(says: str) -> str:
    return f", {says}" if says else ""


def ignored_map(value: Any, project: Project) -> Outcome:
    if project.get("mask", "rgb_map") is not None:
        return Outcome(NO_EFFECT, "the original reads rgb_map, and so does this experiment")
    if project.faithful and set(value) <= set(DEFAULT_MAP):
        return Outcome(NO_EFFECT, "the original read rgb_map alone, and took its default map")
    if project.faithful:
        says = "the original merged these classes into the nearest of its default map's four"
        return Outcome(MEANT, f"dataset.layout.mask_classes: {says}")
    return Outcome(MEANT, "dataset.classes; the original did not read it, and trained 4 classes")


def width(value: int, project: Project) -> Outcome:
    height = project.get("model", "image_height")
    size = value if value == height else [height, value]
    return Outcome(TAKEN, "", {"dataset.image_size": size})


def channels(value: int, project: Project) -> Outcome:
    if value == 3:
        return Outcome(TAKEN, "", {"dataset.channels": 3})
    return Outcome(UNSUPPORTED, "the original read 3 whatever it was, and so does this experiment")


def colour_order(value: str, project: Project) -> Outcome:
    if value.upper() == "RGB":
        return Outcome(TAKEN, "pictures are RGB")
    return Outcome(UNSUPPORTED, "pictures are always RGB")


def folder(value: str, project: Project) -> Outcome:
    own = top_of(project.get("train", "images_dir"))
    if own and not is_below(value, own):
        return Outcome(
            UNSUPPORTED,
            f"{value} is not below {own}, the data set of [train] images_dir, and all parts are "
            "read below dataset.path: put these files there",
        )
    return Outcome(TAKEN, "below dataset.path")


def is_below(value: str, folder: Path) -> bool:
    return Path(os.path.normpath(value.replace("\\", "/"))).is_relative_to(os.path.normpath(folder))


FOLDER = Key(folder, Rule(is_text, "a folder in quotes", "'./train/images'"))
DATA: Table = {
    ("model", "image_width"): Key(width, SIDE, 512),
    ("model", "image_height"): said("dataset.image_size", SIDE, 512),
    ("model", "image_channels"): Key(channels, count(3), 3),
    ("model", "num_classes"): said("the classes of the colour map", count(2)),
    ("mask", "rgb_map"): Key(colour_map, MAP),
    ("mask", "color_map"): Key(ignored_map, MAP),
    ("mask", "mask_file_format"): said("masks are found by their content"),
    ("mask", "mask_datatype"): no_effect("read, and never used"),
    ("mask", "mask_datatyoe"): no_effect("a misspelt mask_datatype, which is never used"),
    ("mask", "binarize"): no_effect("only the single-class generator read it, which cannot run"),
    ("mask", "threshold"): no_effect("only the single-class generator read it, which cannot run"),
    ("mask", "blur"): no_effect("only the single-class generator read it, which cannot run"),
    ("mask", "color_order"): no_effect("nothing in the original reads it"),
    ("image", "color_order"): Key(colour_order, TEXT, "RGB"),
    ("image", "file_format"): unsupported("pictures are found by their content; NPY is not read"),
    **{(part, name): FOLDER for part in ("train", "valid", "test")
       for name in ("images_dir", "masks_dir")},
}  # fmt: skip


def root_of(project: Project, data_root: str | None, file: Path) -> tuple[Path | None, list[str]]:
    """The folder with train, valid and test, and what to type if it is not there."""
    given = project.get("train", "images_dir")
    named = top_of(given)
    tried = candidates(data_root, named, file)
    for one in tried:
        if any((one / part).is_dir() for part in ("train", "Train", "training")):
            return one.resolve(), []
    shown = " and ".join(map(str, tried)) or "nowhere, since it is missing"
    return None, [
        f"[train] images_dir = {given!r}: no folder train was found (looked in {shown}). Add "
        "data_root=FOLDER, the folder that holds train, valid and test"
    ]


def top_of(images: str | None) -> Path | None:
    """`../dataset/ZIPPER` of `../dataset/ZIPPER/train/images/`; None if it has another form."""
    path = Path(str(images).replace("\\", "/")) if images else None
    return path.parents[1] if path and len(path.parents) > 1 else None


def candidates(data_root: str | None, named: Path | None, file: Path) -> list[Path]:
    if data_root:
        folder = Path(data_root).expanduser()
        return [folder, folder / named.name] if named and named.name else [folder]
    return [file.parent / named] if named else []


GENERATOR: Table = {
    ("generator", name): no_effect("only the single-class generator read it, which cannot run")
    for name in ("generated_images_dir", "generated_masks_dir")
} | {
    ("generator", "debug"): no_effect("nothing in the original reads it"),
    ("generator", "verbose"): no_effect("nothing in the original reads it"),
    ("generator", "augmentation"): said("the transforms of [augmentor]", flag(), True),
    ("model", "generator"): said(
        "whether [augmentor] is used; data are never all in memory", flag(), False
    ),
}
