"""The keys of the data: sizes, folders, masks and the colour map."""

from __future__ import annotations

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
    if given is None and not (project.faithful and ignored and set(ignored) <= set(DEFAULT_MAP)):
        given = ignored
    if given is None:
        return ONE_DEFECT if project.get("model", "num_classes") == 1 else DEFAULT_MAP
    return given


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
    colours = map_of(project)
    if BLACK not in colours:
        yield "[mask] rgb_map has no (0, 0, 0), the background; expected {(0, 0, 0): 0, …}"
    values = list(colours.values())
    if twice := sorted({one for one in values if values.count(one) > 1}):
        yield f"[mask] rgb_map has several colours of class {twice[0]}; expected one each"
    number = project.get("model", "num_classes")
    if colours is DEFAULT_MAP and project.get("mask", "color_map"):
        return  # the original trained the classes of its default map alone
    if number not in (None, len(colours)) and not (number == 1 and len(colours) == 2):
        yield (
            f"[model] num_classes = {number}, but the colour map has {len(colours)} colours, "
            "background included. Correct one of them"
        )


def classes(palette: Palette, comment: Sequence[str]) -> list[dict[str, Any]]:
    """dataset.classes, with the names in the comment where it has them."""
    defects = palette.colours[1:]
    names = class_names.names_of(comment, defects)
    names = names or [f"class_{number}" for number in range(1, len(defects) + 1)]
    listed = zip(["background", *names], palette.colours, strict=True)
    return [{"name": name, "color": list(colour)} for name, colour in listed]


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
        return Outcome(UNSUPPORTED, f"{says}; no option merges classes, so they stay apart")
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
    return Outcome(TAKEN, "below dataset.path")


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
