"""Every option: what it means, what it must be, and what it changes.

A new option is a row here, a line in a yaml, and the code that reads it. Validation, a run's
identity, what `compare` calls a cell, the quotes around paths, the parameters in the store and
docs/reference/options.md follow from the rows. An argument of a `_target_` (of a model, a loss, a
callback …) needs no row: a row `model.*` stands for all below `model` that have none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache

from flexunet_exp.config.rules import (
    Rule,
    at_least,
    between,
    count,
    flag,
    fraction,
    is_model_name,
    is_number,
    is_text,
    is_text_or_texts,
    not_negative,
    number,
    one_of,
    or_null,
    part,
    positive,
    share,
    size,
    text,
)


class Changes(Enum):
    """The most that an option can change."""

    WEIGHTS = "weights"  # what is trained: another value is another run
    ROUNDING = "weights, by rounding alone"  # another run, but of the same recipe
    SCORES = "scores"  # how the same weights are scored
    DATA = "data"  # where pictures are read from, or which are made: their digest identifies them
    NOTHING = "neither"


WEIGHTS, ROUNDING, SCORES, DATA, NOTHING = Changes
TRAIN = "train"


@dataclass(frozen=True)
class Option:
    """A row of the table: an option, or with a key `section.*` all below it without a row."""

    key: str
    meaning: str
    rule: Rule | None = None  # None: whoever reads the option checks it
    changes: Changes = NOTHING
    minutes: bool = False  # whether it decides how long a training takes
    repeats: bool = False  # whether runs that differ in it alone repeat one cell
    param: str = ""  # the parameter that the store shows it as, if typed; `*`: its last word
    literal: bool = False  # whether its value is any text, such as a path: quoted for Hydra
    pattern: bool = False  # likewise, but a `${…}` in it is Hydra's
    optional: bool = False  # whether runs of before it, and some commands, lack it
    example: str = ""  # what to type, where the example of the rule is not it
    commands: tuple[str, ...] = ()  # whose own option it is; none: of train, and any that has it

    @property
    def section(self) -> str:
        """`trainer` of `trainer.epochs`, `model` of `model.*`, nothing of `monitor`."""
        return self.key.rpartition(".")[0]

    @property
    def is_group(self) -> bool:
        return self.key.endswith(".*")


LOGITS = "largest difference of a logit from the network in float32 that is no failure"
RUN = "MLflow run id, run folder, latest, best, models:/NAME@ALIAS, .keras file"
PICTURES = "a picture, a folder, a glob or a list [a,b] of these"


def parents(key: str) -> list[str]:
    """The sections around a key, innermost first: `a.b` and `a` of `a.b.c`."""
    return [key[: dot.start()] for dot in re.finditer(r"\.", key)][::-1]


OPTIONS = (
    # The run as a whole
    Option("data_root", "folder of all data sets", text("a folder", "data"), DATA, literal=True),
    Option(
        "cache_dir",
        "folder of dataset.cache=disk and of the precisions that trainer.precision=auto measured",
        text("a folder", "cache"),
        literal=True,
        optional=True,
    ),
    Option(
        "monitor",
        "figure that decides the best epoch, early stopping and learning-rate steps",
        changes=WEIGHTS,
        example="monitor=val_loss",
    ),
    Option(
        "objective",
        "figure that a run returns to a sweep, and that run=best compares",
        example="objective=val/iou",
    ),
    Option(
        "require",
        "what val_dice of the best epoch must exceed, else the run fails",
        or_null(Rule(is_number, "a number", "null")),
    ),
    Option("dry", "says what would be trained, and stops", flag(), optional=True),
    Option(
        "rerun",
        "which finished work is trained again: failed skips finished work, all trains everything, "
        "none skips failed work too",
        one_of("failed", "all", "none"),
    ),
    # Data
    Option(
        "dataset.name",
        "name of the data set, or category of MVTec AD",
        text("a name", "zipper"),
        WEIGHTS,
        minutes=True,
        example="dataset=zipper",
    ),
    Option(
        "dataset.path",
        "folder of the data set; follows from data_root, the layout and the name",
        text(
            "a folder (a category's yaml begins with `defaults: [{layout: mvtec}, _self_]` to "
            "get it)",
            "FOLDER",
        ),
        DATA,
        literal=True,
        example="dataset=zipper",
    ),
    Option(
        "dataset.classes",
        "list of {name, color}: the background first, then the defects",
        changes=WEIGHTS,
        minutes=True,
    ),
    Option(
        "dataset.layout.*",
        "how the folders of the data set are laid out (conf/dataset/layout)",
        changes=WEIGHTS,
        minutes=True,
        example="dataset/layout=image_mask",
    ),
    Option(
        "dataset.image_size",
        "input of the network, a side or [height, width] in pixels; scores are at the masks' size",
        size(256),
        WEIGHTS,
        minutes=True,
        param="image_size",
    ),
    Option(
        "dataset.good",
        "defect-free pictures: none, those of test, all (train/good too)",
        one_of("none", "test", "all", example="test"),
        WEIGHTS,
        minutes=True,
    ),
    Option(
        "dataset.cache",
        "where decoded, resized pictures are kept: nowhere, in memory, in cache_dir",
        one_of("none", "memory", "disk", example="memory"),
    ),
    Option(
        "dataset.patch.size",
        "trains on patches of this side or [height, width]; null: on whole pictures",
        or_null(size(256)),
        WEIGHTS,
        minutes=True,
        param="patch_size",
        optional=True,
    ),
    Option(
        "dataset.patch.foreground",
        "share of the patches that look at a defect, evenly over the classes",
        part(0.5),
        WEIGHTS,
        minutes=True,
        param="patch_foreground",
        optional=True,
    ),
    Option(
        "dataset.patch.per_image",
        "patches of each training picture in an epoch",
        count(4),
        WEIGHTS,
        minutes=True,
        param="patch_per_image",
        optional=True,
    ),
    Option(
        "dataset.sampling",
        "uniform: every picture equally often; balanced: every class equally often, good being one",
        one_of("uniform", "balanced", example="balanced"),
        WEIGHTS,
        minutes=True,
        param="sampling",
        optional=True,
    ),
    Option(
        "dataset.good_share",
        "share of defect-free pictures in the batches; null: as they come",
        or_null(share(0.25)),
        WEIGHTS,
        minutes=True,
        param="good_share",
        optional=True,
    ),
    Option(
        "dataset.strict", "whether a source picture in two splits is an error", flag(example=False)
    ),
    # How it is trained
    Option(
        "trainer.epochs",
        "passes over the training pictures",
        count(60),
        WEIGHTS,
        minutes=True,
        param="epochs",
    ),
    Option(
        "trainer.batch_size",
        "pictures or patches in a step",
        count(4),
        WEIGHTS,
        minutes=True,
        param="batch_size",
    ),
    Option(
        "trainer.seed",
        "chance of initial weights, order and augmentation",
        at_least(0, example=0),
        WEIGHTS,
        repeats=True,
        param="seed",
    ),
    Option(
        "trainer.precision",
        "number format of the training; auto: the faster of float32 and mixed_bfloat16, measured "
        "once on a machine",
        one_of("float32", "mixed_bfloat16", "mixed_float16", "auto"),
        WEIGHTS,
        minutes=True,
        param="precision",
    ),
    Option(
        "trainer.threads",
        "threads of a training; null: all cores of the machine, or a trial's part of them",
        or_null(count(2)),
        ROUNDING,
        minutes=True,
        param="threads",
    ),
    Option(
        "trainer.deterministic",
        "bit-identical weights at equal threads, somewhat slower",
        flag(example=False),
        WEIGHTS,
        minutes=True,
        param="deterministic",
    ),
    Option(
        "trainer.strategy",
        "mirrored trains on all GPUs; auto does so where there are several",
        one_of("auto", "mirrored"),
        WEIGHTS,
        minutes=True,
        param="strategy",
        optional=True,
    ),
    Option(
        "trainer.save_every",
        "epochs between two states from which a run that was cut off goes on",
        count(1),
        param="save_every",
        optional=True,
    ),
    Option(
        "trainer.resume",
        "auto: the same command goes on with a run that was cut off; never: it begins anew",
        one_of("auto", "never"),
        param="resume",
        optional=True,
    ),
    Option(
        "trainer.profile",
        "measures where the time of an epoch goes",
        flag(example=False),
        param="profile",
        optional=True,
    ),
    # What is trained
    Option(
        "split.fold",
        "which fold is tested, from 0 on (split=folds)",
        changes=WEIGHTS,
        repeats=True,
        param="fold",
        example="split.fold=0",
    ),
    Option(
        "split.seed",
        "chance that deals the sources to train, valid and test",
        changes=WEIGHTS,
        repeats=True,
        param="split.seed",
        example="split.seed=0",
    ),
    Option(
        "split.*",
        "arguments of the split (conf/split)",
        changes=WEIGHTS,
        minutes=True,
        param="*",
        example="split.n=5",
    ),
    Option(
        "augmentation.*",
        "transforms of the training pictures",
        changes=WEIGHTS,
        example="augmentation=strong",
    ),
    Option(
        "model.*",
        "arguments of the architecture (conf/model)",
        changes=WEIGHTS,
        minutes=True,
        param="*",
        example="model.base_filters=16",
    ),
    Option(
        "loss.*",
        "arguments of the loss (conf/loss)",
        changes=WEIGHTS,
        param="*",
        example="loss.class_weights=balanced",
    ),
    Option(
        "optimizer.learning_rate",
        "learning rate, before its schedule",
        positive("1e-3"),
        WEIGHTS,
        param="learning_rate",
    ),
    Option(
        "optimizer.clipvalue",
        "clips each element of the gradients",
        or_null(positive(0.5)),
        WEIGHTS,
        param="clipvalue",
        optional=True,
    ),
    Option(
        "optimizer.use_ema",
        "judges and keeps the moving average of the weights",
        flag(),
        WEIGHTS,
        param="use_ema",
        optional=True,
    ),
    Option(
        "optimizer.ema_momentum",
        "of that average: about the last 1 / (1 - ema_momentum) steps",
        fraction(0.99),
        WEIGHTS,
        param="ema_momentum",
        optional=True,
    ),
    Option(
        "optimizer.*",
        "other arguments of the optimizer (conf/optimizer)",
        changes=WEIGHTS,
        param="*",
        example="+optimizer.beta_1=0.95",
    ),
    Option(
        "schedule.*",
        "arguments of the learning-rate schedule",
        changes=WEIGHTS,
        example="schedule=cosine schedule.warmup_epochs=1",
    ),
    Option(
        "callbacks.*",
        "arguments of the callbacks (conf/callbacks)",
        changes=WEIGHTS,
        example="callbacks.early_stopping.patience=20",
    ),
    Option(
        "callbacks.curves.*",
        "curves of loss and Dice in the run folder",
        example="~callbacks.curves",
    ),
    Option(
        "callbacks.epoch_images.*",
        "pictures that are predicted again after epochs",
        example="callbacks.epoch_images.every=10",
    ),
    Option(
        "callbacks.stop_file.*",
        "ends the training when a file STOP appears",
        example="~callbacks.stop_file",
    ),
    # How a network is judged
    Option(
        "predict.tile",
        "none: pictures are resized as a whole; a side or [height, width]: predicted in tiles of "
        "that size; auto: as trained",
        or_null(size(512, "auto", "none")),
        SCORES,
        minutes=True,
        optional=True,
    ),
    Option(
        "predict.overlap",
        "of neighbouring tiles, as a share of their side",
        or_null(share(0.25)),
        SCORES,
        minutes=True,
        optional=True,
    ),
    Option(
        "predict.tta",
        "averages mirrored views (flips: 4), and turned ones (flips_turns: 8)",
        or_null(one_of("none", "flips", "flips_turns", example="flips")),
        SCORES,
        minutes=True,
        optional=True,
    ),
    Option(
        "predict.batch_size",
        "pictures or tiles at once; null: trainer.batch_size",
        or_null(count(4)),
        SCORES,
        minutes=True,
        optional=True,
    ),
    Option(
        "predict.precision",
        "number format of predictions",
        or_null(one_of("as_trained", "float32", "mixed_bfloat16")),
        SCORES,
        minutes=True,
        optional=True,
    ),
    Option(
        "score.object_overlap",
        "share of the pixels of a defect that must be predicted as its class for it to be found",
        or_null(number(lambda value: 0 < value <= 1, "above 0, at most 1", 0.3)),
        SCORES,
        optional=True,
    ),
    Option(
        "score.boundary_tolerance",
        "pixels between a true boundary and a predicted one that still matches",
        or_null(number(lambda value: 0 <= value <= 50, "of pixels from 0 to 50", 3)),
        SCORES,
        optional=True,
    ),
    Option(
        "score.resamples",
        "resamples of the bootstrap over sources",
        or_null(count(1000)),
        SCORES,
        optional=True,
    ),
    # Where it is recorded
    Option(
        "tracking.uri",
        "address of the MLflow store; null: none",
        or_null(text("an address", "sqlite:///mlruns/mlflow.db")),
        literal=True,
        example="tracking=local",
    ),
    Option(
        "tracking.experiment_name",
        "MLflow experiment that holds the runs",
        text("a name", "flexunet"),
        literal=True,
    ),
    Option(
        "tracking.run_name",
        "name of the run; null: what differs in a sweep, else data set and model",
        or_null(text("a name", "first")),
        literal=True,
    ),
    Option("tracking.log_model", "stores the best model in the run", flag()),
    Option(
        "tracking.register",
        "registered model of which the best model becomes the next version",
        or_null(
            Rule(
                is_model_name,
                "the name of a registered model (letters, digits, _ - and dots)",
                "zipper",
            )
        ),
        optional=True,
    ),
    Option(
        "tracking.parent_run_id",
        "run of the sweep; set by a multirun for its jobs",
        Rule(lambda value: value is None or is_text(value), "null", "null"),
    ),
    Option(
        "tracking.trial",
        "study, number and epochs; set by a study for its trials",
        Rule(lambda value: value is None or isinstance(value, dict), "null", "null"),
        optional=True,
    ),
    Option(
        "tracking.vary",
        "keys in which jobs differ; set by a multirun",
        Rule(lambda value: isinstance(value, list), "a list", "[]"),
    ),
    # Several runs
    Option("launcher.parallel", "trials at once", count(2), optional=True),
    Option(
        "launcher.cpus",
        "cores of a trial; null: those of the machine divided by launcher.parallel",
        or_null(count(4)),
        optional=True,
    ),
    Option(
        "launcher.gpus",
        "GPUs of a trial; null: those of the machine, spread over the trials",
        or_null(at_least(0, example=1)),
        optional=True,
    ),
    Option("hydra.run.dir", "run folder", pattern=True, example="hydra.run.dir=FOLDER"),
    Option(
        "hydra.sweep.dir", "folder of a multirun", pattern=True, example="hydra.sweep.dir=FOLDER"
    ),
    Option("hydra.*", "Hydra's own options, and those of its sweepers and launchers"),
    # Options of single commands
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

ROWS = {(command, row.key): row for row in OPTIONS for command in row.commands or (TRAIN,)}
SECTIONS = {parent for row in OPTIONS for parent in parents(row.key)}
BY_PARAM = {row.param: row for row in OPTIONS if row.param not in ("", "*")}
REPEATED = tuple(row.key for row in OPTIONS if row.repeats)
LITERAL = {row.key for row in OPTIONS if row.literal}
PATTERN = {row.key for row in OPTIONS if row.pattern}


@cache
def option(key: str, command: str = TRAIN) -> Option | None:
    """The row of a key in a command's configuration, maybe one of a group; None where none is.

    A group of files is what it chooses between: `dataset/layout` has the row `dataset.layout.*`.
    """
    key = key.replace("/", ".")
    candidates = [key, *(f"{group}.*" for group in (key, *parents(key)))]
    found = (ROWS.get((who, name)) for name in candidates for who in (command, TRAIN))
    return next((row for row in found if row), None)


@cache
def rows(key: str) -> tuple[Option, ...]:
    """All rows of a key: its own, or those of the options below it; none of an unknown key."""
    key = key.replace("/", ".")
    below = [row for row in OPTIONS if not row.commands and row.key.startswith(f"{key}.")]
    own = option(key)
    return tuple(below if own is None else [own, *(row for row in below if row is not own)])


def of_command(command: str) -> list[Option]:
    """The options of one command that others have not got, or have otherwise."""
    return [row for row in OPTIONS if command in row.commands]


def can_change(key: str, *what: Changes) -> bool:
    """Whether an option, or one below it, changes any of this; an unknown one may change all."""
    found = rows(key)
    return not found or any(row.changes in what for row in found)


def says_what(key: str) -> bool:
    """Whether an option says what a recipe is: what is trained on what, and how it is scored."""
    return can_change(key, WEIGHTS, SCORES, DATA)


def takes_minutes(key: str) -> bool:
    """Whether an option of train decides how long a training takes; an unknown one may."""
    found = rows(key)
    return not found or any(row.minutes for row in found)


def param_name(key: str) -> str:
    """The parameter that the store shows a typed option as; empty where it shows none.

    The last word of the option, or what tells it apart: trainer.seed is not split.seed.
    """
    row = option(key)
    if row is None or key in SECTIONS:
        return ""
    last = key.rpartition(".")[2]
    return row.param if row.param != "*" else (key if last in BY_PARAM else last)


def key_of_param(param: str) -> str:
    """The option that a parameter of the store is of, as far as a row says; else itself."""
    row = BY_PARAM.get(param)
    return row.key if row else param
