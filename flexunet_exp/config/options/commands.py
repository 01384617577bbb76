"""Options of single commands."""

from __future__ import annotations

from flexunet_exp.config.options.row import DATA, Option
from flexunet_exp.config.rules import (
    Rule,
    at_least,
    between,
    count,
    flag,
    is_text,
    is_text_or_texts,
    not_negative,
    or_null,
    part,
    positive,
    size,
    text,
)

LOGITS = "largest allowed difference of a logit from the network in float32"
RUN = "MLflow run id, run folder, latest, best, models:/NAME@ALIAS, .keras file"
PICTURES = "a picture, a folder, a glob or a list [a,b] of these"

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
        commands=("evaluate", "export", "infer", "promote"),
    ),
    Option(
        "run",
        "run folder, or that of a multirun; null: all below ./outputs",
        literal=True,
        commands=("sync",),
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
        commands=("infer",),
    ),
    Option(
        "min_probability",
        "0 to 1; regions of a lower mean probability become background",
        part(0.5),
        commands=("infer",),
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
        "validation figure that ranks the cells",
        Rule(
            lambda value: is_text(value) and value.startswith("val/"),
            "a validation figure (test is shown beside it)",
            "val/dice",
        ),
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
)
