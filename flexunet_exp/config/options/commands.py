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
    size,
    text,
)

LOGITS = "largest difference of a logit from the network in float32 that is no failure"
RUN = "MLflow run id, run folder, latest, best, models:/NAME@ALIAS, .keras file"
PICTURES = "a picture, a folder, a glob or a list [a,b] of these"

ROWS = (
    Option("strict", "whether warnings are errors too", flag(), commands=("check",)),
    Option(
        "small_defect",
        "pixels of a defect after resizing, below which it is warned of",
        count(16),
        commands=("check",),
    ),
    Option(
        "prune",
        "all: removes every entry; a number: what no run used for so many days; null: lists only",
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
        "of dataset=…: one of its folders train, valid, test",
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
        "folder, new, empty or made by this command: only what is missing is done",
        text("a folder", "results"),
        literal=True,
        commands=("infer",),
    ),
    Option(
        "min_area",
        "pixels of a region, below which it is background",
        count(20),
        commands=("infer",),
    ),
    Option(
        "min_probability",
        "mean probability of a region, below which it is background",
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
        "pictures to prove the file on; null: test pictures of the run",
        or_null(Rule(is_text_or_texts, PICTURES, "photos")),
        literal=True,
        commands=("export",),
    ),
    Option("images", "so many of these pictures", count(8), commands=("export",)),
    Option("max_logit_difference", LOGITS, not_negative(0.01), commands=("export",)),
    Option(
        "min_agreement",
        "least share of pixels of the same class as by the network that was trained",
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
        "folder, new or empty; the same command goes on with it",
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
        "splits of which variants are made; of others there are the originals only",
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
        "chance that draws the variants; the split has its own, split.seed",
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
        "in MLflow's language, over params, metrics, tags and attributes",
        or_null(text("a filter", "\"params.loss = 'dice'\"")),
        literal=True,
        commands=("compare",),
    ),
    Option(
        "metric",
        "figure that ranks",
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
        "makes it the champion whatever the test figures say",
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
