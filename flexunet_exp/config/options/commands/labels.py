"""Options of import, export-labels and import-config."""

from __future__ import annotations

from typing import Any

from flexunet_exp.config.options.commands.shared import PICTURES, RUN
from flexunet_exp.config.options.row import Option
from flexunet_exp.config.rules import (
    Rule,
    at_least,
    between,
    count,
    flag,
    is_int,
    is_text,
    is_text_or_texts,
    one_of,
    or_null,
    positive,
    text,
)


def pattern(example: str) -> Rule:
    return Rule(
        lambda value: is_text(value) and value.count("{stem}") == 1,
        "a pattern of files with {stem} once",
        f"'{example}'",
    )


def is_values(value: Any) -> bool:
    """Whether it is {number: label}."""
    return isinstance(value, dict) and all(
        is_int(key) and 0 <= key <= 255 and is_text(label) for key, label in value.items()
    )


ROWS = (
    Option(
        "input",
        "export of an annotation tool: a folder, or its one file",
        text("a folder or a file", "export"),
        literal=True,
        commands=("import",),
    ),
    Option(
        "output",
        "folder: new, empty, or one of this command, which goes on",
        text("a folder", "sets/bolt"),
        literal=True,
        commands=("import",),
    ),
    Option(
        "name",
        "of the data set, as in dataset=NAME; null: the name of the output folder",
        or_null(text("a name", "bolt")),
        commands=("import",),
    ),
    Option(
        "format",
        "auto, by the content of the files, or a name of conf/annotations",
        text("auto or the name of a format", "labelme"),
        commands=("import",),
    ),
    Option(
        "images",
        "folder of the pictures; null: in the export or beside it",
        or_null(text("a folder", "photos")),
        literal=True,
        commands=("import",),
    ),
    Option(
        "image",
        "pattern of the pictures, for masks of any naming: {stem} is what a mask has too",
        or_null(pattern("images/{stem}.*")),
        literal=True,
        commands=("import",),
    ),
    Option(
        "mask",
        "pattern of their masks; {stem} is that of the picture, * fits anything",
        or_null(pattern("gt/{stem}_label.bmp")),
        literal=True,
        commands=("import",),
    ),
    Option(
        "values",
        "what the numbers in masks mean: {number: label}; 0 is the background",
        or_null(Rule(is_values, "{number: label}, numbers from 0 to 255", "{1: scratch}")),
        commands=("import",),
        example="values={1:scratch,255:dent}",
    ),
    Option(
        "threshold",
        "masks of one class, defect: the least grey value that is it",
        or_null(between(1, 255, example=128)),
        commands=("import",),
    ),
    Option(
        "classes",
        "merges and renames labels: {new: [labels that become it]}; others keep their names",
        commands=("import",),
        example="classes={scratch:[scratch,Kratzer]}",
    ),
    Option(
        "ignore",
        "labels whose pixels become 255: neither trained nor scored",
        commands=("import",),
        example="ignore=[unsure]",
    ),
    Option(
        "unlabelled",
        "pictures that nobody has labelled: error, good (no defect) or skip",
        one_of("error", "good", "skip", example="good"),
        commands=("import",),
    ),
    Option(
        "boxes",
        "objects that are a box alone: error, fill (all its pixels) or ignore (255)",
        one_of("error", "fill", "ignore", example="fill"),
        commands=("import",),
    ),
    Option(
        "crowd",
        "objects that COCO calls a crowd: keep, or ignore (255)",
        one_of("keep", "ignore", example="ignore"),
        commands=("import",),
    ),
    Option(
        "annotator",
        "of several per picture: first, last, or agree (255 where they differ)",
        or_null(one_of("first", "last", "agree", example="agree")),
        commands=("import",),
    ),
    Option(
        "raster",
        "pixels of a shape: tool (as the tool draws it), centre or cover",
        one_of("tool", "centre", "cover", example="centre"),
        commands=("import",),
    ),
    Option(
        "overlap",
        "where objects overlap: top (the tool's order), small_over_large or error",
        one_of("top", "small_over_large", "error", example="small_over_large"),
        commands=("import",),
    ),
    Option(
        "line_width",
        "pixels of a line; null: the tool's own, if it has one",
        or_null(positive(3)),
        commands=("import",),
    ),
    Option(
        "point_radius",
        "pixels around a point; null: the tool's own, if it has one",
        or_null(positive(5)),
        commands=("import",),
    ),
    Option(
        "splits",
        "as_given or by_source; null: as_given where the export's train part shows defects",
        or_null(one_of("as_given", "by_source")),
        commands=("import",),
    ),
    Option(
        "ratios",
        "shares of train, valid and test; without a valid part, as_given divides train by them",
        commands=("import",),
        example="ratios=[0.7,0.15,0.15]",
    ),
    Option(
        "seed",
        "of the pictures that are dealt into splits",
        at_least(0, example=1),
        commands=("import",),
    ),
    Option(
        "group",
        "regular expression for a picture's path, whose first group is the part it shows",
        or_null(text("a regular expression", "(.+)_cam[0-9]")),
        literal=True,
        commands=("import",),
    ),
    Option("strict", "ends with 1 where an object was lost", flag(), commands=("import",)),
    Option(
        "workers",
        "threads; null: as many as cores",
        or_null(count(2)),
        commands=("import",),
    ),
    Option(
        "run",
        f"whose predictions are written: {RUN}; null: masks of a set",
        literal=True,
        commands=("export_labels",),
    ),
    Option(
        "input",
        "folder of a set that flexunet import or prepare made; null: that of dataset=NAME; "
        "with run=RUN pictures, null: its test pictures",
        or_null(Rule(is_text_or_texts, f"a folder, or with run=RUN {PICTURES}", "sets/bolt")),
        literal=True,
        commands=("export_labels",),
    ),
    Option(
        "output",
        "folder: new or empty",
        text("a folder", "labels"),
        literal=True,
        commands=("export_labels",),
    ),
    Option(
        "format",
        "the annotation tool whose files are written",
        one_of("coco", "cvat", "label_studio", "labelme", "voc", "yolo"),
        commands=("export_labels", "propose"),
    ),
    Option(
        "input",
        "INI file of the original program",
        text("a file", "train_eval_infer.config"),
        literal=True,
        commands=("import_config",),
    ),
    Option(
        "output",
        "name of the experiment and of the data set; null: that of the file, or of its folder for "
        "train_eval_infer.config",
        or_null(text("a name", "zipper_old")),
        commands=("import_config",),
    ),
    Option(
        "data_root",
        "folder with train, valid and test; null: where the file says, relative to it",
        or_null(text("a folder", "data/ZIPPER")),
        literal=True,
        commands=("import_config",),
    ),
    Option(
        "network",
        "another network than that of the file; null: that of the file",
        or_null(text("a name of conf/model", "unet")),
        commands=("import_config",),
    ),
    Option(
        "faithful",
        "true: what the original did, where an option allows it; false: what was meant",
        flag(),
        commands=("import_config",),
    ),
    Option(
        "overwrite",
        "replaces files of this name that are there already",
        flag(),
        commands=("import_config",),
    ),
)
