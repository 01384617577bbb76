"""Options of single commands."""

from __future__ import annotations

from typing import Any

from flexunet_exp.config.options.row import DATA, Option
from flexunet_exp.config.rules import (
    Rule,
    at_least,
    between,
    count,
    flag,
    fraction,
    is_int,
    is_model_name,
    is_text,
    is_text_or_texts,
    not_negative,
    one_of,
    or_null,
    part,
    positive,
    size,
    text,
)

LOGITS = "largest allowed difference of a logit from the network in float32"
RUN = "MLflow run id, run folder, latest, best, models:/NAME@ALIAS, .keras file"
NONE = "none"  # decision=none applies none
PICTURES = "a picture, a folder, a glob or a list [a,b] of these"


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
    Option("strict", "whether warnings are errors too", flag(), commands=("check",)),
    Option(
        "small_defect",
        "pixels; a defect that has fewer after resizing gets a warning",
        count(16),
        commands=("check",),
    ),
    Option(
        "prune",
        "all: removes everything; a number: removes what no run used for so many days; "
        "null: lists only",
        commands=("cache",),
        example="prune=30",
    ),
    Option(
        "run",
        f"finished run: {RUN}; several, or a multirun, where the command takes them",
        literal=True,
        commands=("decide", "evaluate", "export", "infer", "promote", "review"),
    ),
    Option(
        "run",
        "run folder, or that of a multirun; null: all below ./outputs",
        literal=True,
        commands=("sync",),
    ),
    Option(
        "name",
        "of the decision; a run can have several",
        Rule(
            lambda value: is_model_name(value) and value != NONE,
            "a name of letters, digits, _, - and ., and not none",
            "careful",
        ),
        commands=("decide",),
    ),
    Option(
        "level",
        "what is counted: part (parts stopped), region (regions a picture, defects) or pixel",
        one_of("part", "region", "pixel"),
        commands=("decide",),
    ),
    Option(
        "by",
        "all: one rule for all defect classes; class: one for each, and every goal holds for each",
        one_of("all", "class", example="class"),
        commands=("decide",),
    ),
    Option(
        "max_false_alarms",
        "largest share of good parts stopped (part), regions a picture (region) or share of "
        "background pixels (pixel)",
        or_null(positive(0.05)),
        commands=("decide",),
    ),
    Option(
        "max_missed",
        "largest share of defective parts passed (part), of defects (region) or of their pixels "
        "(pixel)",
        or_null(fraction(0.1)),
        commands=("decide",),
    ),
    Option(
        "confidence",
        "probability with which all goals hold at once",
        fraction(0.9),
        commands=("decide",),
    ),
    Option(
        "cost_missed",
        "instead of goals: what it costs to pass a defective part",
        or_null(positive(100)),
        commands=("decide",),
    ),
    Option(
        "cost_false_alarm",
        "what it costs to stop a good part, in the unit of cost_missed",
        or_null(positive(1)),
        commands=("decide",),
    ),
    Option(
        "defect_rate",
        "share of defective parts in production, for the costs",
        or_null(fraction(0.01)),
        commands=("decide",),
    ),
    Option(
        "decision",
        "name of a decision of the run (flexunet decide) that is applied; none: the most probable "
        "class of each pixel",
        text("the name of a decision, or none", "default"),
        commands=("evaluate",),
    ),
    Option(
        "decision",
        "name of a decision of the run (flexunet decide) that is applied; none: the most probable "
        "class of each pixel; null: the decision promoted with a registered model, else none",
        or_null(text("the name of a decision, or none", "default")),
        commands=("infer",),
    ),
    Option(
        "decision",
        "name of a decision of the run that is written beside the file, or none; null: the "
        "decision promoted with a registered model, else none",
        or_null(text("the name of a decision, or none", "default")),
        commands=("export",),
    ),
    Option(
        "decision",
        "name of a decision of the run (flexunet decide) that is kept with the model and applied "
        "by default; none: without; null: as the run is registered already, else without",
        or_null(text("the name of a decision, or none", "default")),
        commands=("promote",),
    ),
    Option(
        "answers",
        "review.csv as the page of doubts saved it; null: doubts are found",
        or_null(text("a file", "review.csv")),
        literal=True,
        commands=("review",),
    ),
    Option(
        "export",
        "writes the doubtful pictures, or with answers the ticked ones, with the proposed shapes",
        or_null(one_of("labelme", "coco")),
        commands=("review",),
    ),
    Option(
        "most",
        "doubts on the page and in review.csv, the most probable first",
        between(1, 1000, example=100),
        commands=("review",),
    ),
    Option(
        "ensemble",
        "averages the probabilities of runs with the same test pictures",
        commands=("evaluate",),
    ),
    Option(
        "only",
        "scores one folder of dataset=… alone: train, valid or test",
        commands=("evaluate",),
        example="only=test",
    ),
    Option(
        "input",
        PICTURES,
        Rule(is_text_or_texts, PICTURES, "photos"),
        literal=True,
        commands=("infer",),
    ),
    Option(
        "output",
        "folder: new, empty, or one of this command, in which missing pictures are predicted",
        text("a folder", "results"),
        literal=True,
        commands=("infer",),
    ),
    Option(
        "min_area",
        "pixels; smaller regions become background",
        count(20),
        commands=("infer", "export_labels"),
    ),
    Option(
        "min_probability",
        "0 to 1; regions of a lower mean probability become background",
        part(0.5),
        commands=("infer", "export_labels"),
    ),
    Option(
        "overlays",
        "writes the picture with its regions tinted",
        flag(example=False),
        commands=("infer",),
    ),
    Option("probabilities", "writes the probabilities", flag(), commands=("infer",)),
    Option(
        "overwrite",
        "replaces what is in the output folder already",
        flag(),
        commands=("infer", "export"),
    ),
    Option(
        "minutes",
        "of one fold's whole command on this machine",
        positive(30),
        commands=("plan",),
    ),
    Option(
        "folds",
        "of the cross-validation that a set of few pictures gets",
        at_least(3, example=5),
        commands=("plan",),
    ),
    Option("overwrite", "replaces a plan that is there already", flag(), commands=("plan",)),
    Option("overwrite", "replaces a decision of this name", flag(), commands=("decide",)),
    Option("format", "saved_model, onnx or litert", commands=("export",), example="format=onnx"),
    Option(
        "output",
        "folder; null: exports/<run name>_<format>",
        or_null(text("a folder", "exports/grid")),
        literal=True,
        commands=("export",),
    ),
    Option(
        "input",
        "pictures on which file and network are compared; null: test pictures of the run",
        or_null(Rule(is_text_or_texts, PICTURES, "photos")),
        literal=True,
        commands=("export",),
    ),
    Option("images", "number of these pictures", count(8), commands=("export",)),
    Option("max_logit_difference", LOGITS, not_negative(0.01), commands=("export",)),
    Option(
        "min_agreement",
        "least share of pixels to which file and trained network give the same class",
        part(0.999),
        commands=("export",),
    ),
    Option("log", "adds the file itself to the run in the store", flag(), commands=("export",)),
    Option(
        "input",
        "folder of the category, or an archive of it or of all MVTec AD; null: dataset.path",
        or_null(text("a folder or an archive", "data/zipper.tar.xz")),
        literal=True,
        commands=("prepare",),
    ),
    Option(
        "output",
        "folder: new or empty; the same command goes on after it was cut off",
        text("a folder", "data/imagemask/MVTEC-ZIPPER"),
        literal=True,
        commands=("prepare",),
    ),
    Option(
        "variants",
        "pictures made of each source of augment_splits, the original among them",
        count(17),
        DATA,
        commands=("prepare",),
    ),
    Option(
        "augment_splits",
        "splits that get variants; the others have originals only",
        Rule(
            lambda value: (
                isinstance(value, list) and set(map(str, value)) <= {"train", "valid", "test"}
            ),
            "a list of train, valid, test",
            "[train]",
        ),
        DATA,
        commands=("prepare",),
    ),
    Option(
        "seed",
        "seed of the variants; that of the split is split.seed",
        at_least(0, example=0),
        DATA,
        commands=("prepare",),
    ),
    Option("workers", "threads; null: as many as cores", or_null(count(2)), commands=("prepare",)),
    Option(
        "dataset.image_size",
        "side or [height, width] of the pictures; null: each picture's own size",
        or_null(size(512)),
        DATA,
        commands=("prepare",),
    ),
    Option(
        "runs",
        "null or latest: the newest sweep; all; the id or name of a sweep; run ids or folders",
        Rule(
            lambda value: value is None or is_text_or_texts(value),
            "null, latest, all, a sweep's id or name, or a list [a,b] of run ids",
            "latest",
        ),
        literal=True,
        commands=("compare",),
    ),
    Option(
        "filter",
        "filter in MLflow's language, over params, metrics, tags and attributes",
        or_null(text("a filter", "\"params.loss = 'dice'\"")),
        literal=True,
        commands=("compare",),
    ),
    Option(
        "metric",
        "validation figure that ranks the cells; missed: the share of defective parts that pass",
        Rule(
            lambda value: is_text(value) and (value == "missed" or value.startswith("val/")),
            "a validation figure (test is shown beside it), or missed",
            "val/dice",
        ),
        commands=("compare",),
    ),
    Option(
        "at",
        "share of good parts, 0 to 1, that metric=missed allows to be stopped",
        part(0.05),
        commands=("compare",),
    ),
    Option(
        "top",
        "leaders of each group that are compared in pairs and drawn",
        between(1, 10, example=5),
        commands=("compare",),
    ),
    Option("images", "test pictures on the contact sheet", count(8), commands=("compare",)),
    Option("name", "name of the registered model", commands=("promote",), example="name=zipper"),
    Option(
        "force",
        "makes the version the champion, whatever its test figures are",
        flag(),
        commands=("promote",),
    ),
    Option(
        "port",
        "port of the UI; null: the first free one from 5000 on",
        or_null(between(1024, 65535, example=8000)),
        commands=("ui",),
    ),
    Option("open_browser", "opens the UI in the browser", flag(example=False), commands=("ui",)),
    Option("columns", "columns of the runs table; []: those of MLflow", commands=("ui",)),
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
        commands=("export_labels",),
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
