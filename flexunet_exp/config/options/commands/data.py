"""Options of check, cache, prepare and plan."""

from __future__ import annotations

from flexunet_exp.config.options.row import DATA, Option
from flexunet_exp.config.rules import Rule, at_least, count, flag, or_null, positive, size, text

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
)
