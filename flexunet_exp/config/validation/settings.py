"""The light step, without TensorFlow: types, ranges, divisibility, classes, unknown keys."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from flexunet_exp.config import compose
from flexunet_exp.config.validation.rules import (
    COUNT,
    MISSING,
    Rule,
    at_least,
    broken_rules,
    is_flag,
    is_fraction,
    is_int,
    is_list,
    is_model_name,
    is_number,
    is_part,
    is_positive,
    is_share,
    is_size,
    is_text,
    lookup,
    one_of,
    or_null,
)
from flexunet_exp.errors import InputError, did_you_mean

TARGET_SECTIONS = ("model", "loss", "optimizer", "schedule", "callbacks", "augmentation", "split")
MAX_CLASSES = 255  # index 255 means ignore


RULES = (
    Rule("data_root", is_text, "a folder", "data_root=data"),
    Rule("cache_dir", is_text, "a folder", "cache_dir=cache", optional=True),
    Rule("rerun", one_of("failed", "all", "none"), "failed, all or none", "rerun=failed"),
    Rule("dry", is_flag, "true or false", "dry=true", optional=True),
    Rule("require", or_null(is_number), "null or a number", "require=null"),
    Rule("dataset.name", is_text, "a name", "dataset=zipper"),
    Rule(
        "dataset.path",
        is_text,
        "a folder (a category's yaml begins with `defaults: [{layout: mvtec}, _self_]` to get it)",
        "dataset=zipper",
    ),
    Rule(
        "dataset.image_size",
        is_size,
        "a whole number or [height, width], each at least 8",
        "dataset.image_size=256",
    ),
    Rule("dataset.good", one_of("none", "test", "all"), "none, test or all", "dataset.good=test"),
    Rule(
        "dataset.cache",
        one_of("none", "memory", "disk"),
        "none, memory or disk",
        "dataset.cache=memory",
    ),
    Rule(
        "dataset.patch.size",
        or_null(is_size),
        "null, a whole number or [height, width], each at least 8",
        "dataset.patch.size=256",
        optional=True,
    ),
    Rule(
        "dataset.patch.foreground",
        is_part,
        "a number from 0 to 1",
        "dataset.patch.foreground=0.5",
        optional=True,
    ),
    Rule("dataset.patch.per_image", at_least(1), COUNT, "dataset.patch.per_image=4", optional=True),
    Rule(
        "dataset.sampling",
        one_of("uniform", "balanced"),
        "uniform or balanced",
        "dataset.sampling=balanced",
        optional=True,
    ),
    Rule(
        "dataset.good_share",
        or_null(is_share),
        "null or a number from 0 to below 1",
        "dataset.good_share=0.25",
        optional=True,
    ),
    Rule("dataset.strict", is_flag, "true or false", "dataset.strict=false"),
    Rule("trainer.epochs", at_least(1), COUNT, "trainer.epochs=60"),
    Rule("trainer.batch_size", at_least(1), COUNT, "trainer.batch_size=4"),
    Rule("trainer.seed", at_least(0), "a whole number of at least 0", "trainer.seed=0"),
    Rule(
        "trainer.precision",
        one_of("float32", "mixed_bfloat16", "mixed_float16", "auto"),
        "float32, mixed_bfloat16, mixed_float16 or auto",
        "trainer.precision=float32",
    ),
    # Optional, so that runs made before there were these can be evaluated.
    Rule(
        "trainer.strategy",
        one_of("auto", "mirrored"),
        "auto or mirrored",
        "trainer.strategy=auto",
        optional=True,
    ),
    Rule("trainer.save_every", at_least(1), COUNT, "trainer.save_every=1", optional=True),
    Rule(
        "trainer.resume",
        one_of("auto", "never"),
        "auto or never",
        "trainer.resume=auto",
        optional=True,
    ),
    Rule("trainer.profile", is_flag, "true or false", "trainer.profile=false", optional=True),
    Rule("trainer.threads", or_null(at_least(1)), f"null or {COUNT}", "trainer.threads=2"),
    Rule("launcher.parallel", at_least(1), COUNT, "launcher.parallel=2", optional=True),
    Rule(
        "launcher.cpus", or_null(at_least(1)), f"null or {COUNT}", "launcher.cpus=4", optional=True
    ),
    Rule(
        "launcher.gpus",
        or_null(at_least(0)),
        "null or a whole number of at least 0",
        "launcher.gpus=1",
        optional=True,
    ),
    Rule("trainer.deterministic", is_flag, "true or false", "trainer.deterministic=false"),
    Rule(
        "predict.tile",
        or_null(lambda value: value in ("none", "auto") or is_size(value)),
        "auto, none, a whole number or [height, width], each at least 8",
        "predict.tile=512",
        optional=True,
    ),
    Rule(
        "predict.overlap",
        or_null(is_share),
        "a number from 0 to below 1",
        "predict.overlap=0.25",
        optional=True,
    ),
    Rule(
        "predict.tta",
        or_null(one_of("none", "flips", "flips_turns")),
        "none, flips or flips_turns",
        "predict.tta=flips",
        optional=True,
    ),
    Rule(
        "predict.batch_size",
        or_null(at_least(1)),
        f"null or {COUNT}",
        "predict.batch_size=4",
        optional=True,
    ),
    Rule(
        "predict.precision",
        or_null(one_of("as_trained", "float32", "mixed_bfloat16")),
        "as_trained, float32 or mixed_bfloat16",
        "predict.precision=as_trained",
        optional=True,
    ),
    Rule(
        "score.object_overlap",
        or_null(lambda value: is_number(value) and 0 < value <= 1),
        "a number above 0, at most 1",
        "score.object_overlap=0.3",
        optional=True,
    ),
    Rule(
        "score.boundary_tolerance",
        or_null(lambda value: is_number(value) and 0 <= value <= 50),
        "a number of pixels from 0 to 50",
        "score.boundary_tolerance=3",
        optional=True,
    ),
    Rule(
        "score.resamples",
        or_null(at_least(1)),
        f"null or {COUNT}",
        "score.resamples=1000",
        optional=True,
    ),
    Rule("tracking.uri", or_null(is_text), "null or an address", "tracking=local"),
    Rule("tracking.experiment_name", is_text, "a name", "tracking.experiment_name=flexunet"),
    Rule("tracking.run_name", or_null(is_text), "null or a name", "tracking.run_name=first"),
    Rule("tracking.log_model", is_flag, "true or false", "tracking.log_model=true"),
    Rule(
        "tracking.register",
        or_null(is_model_name),
        "null or the name of a registered model (letters, digits, _ - and dots)",
        "tracking.register=zipper",
        optional=True,
    ),
    Rule("tracking.parent_run_id", or_null(is_text), "null", "tracking.parent_run_id=null"),
    Rule(
        "tracking.trial",
        or_null(lambda value: isinstance(value, dict)),
        "null",
        "tracking.trial=null",
        optional=True,
    ),
    Rule("tracking.vary", is_list, "a list", "tracking.vary=[]"),
    Rule(
        "optimizer.learning_rate",
        is_positive,
        "a number above 0",
        "optimizer.learning_rate=1e-3",
    ),
    Rule(
        "optimizer.clipvalue",
        or_null(is_positive),
        "null or a number above 0",
        "optimizer.clipvalue=0.5",
        optional=True,
    ),
    Rule("optimizer.use_ema", is_flag, "true or false", "optimizer.use_ema=true", optional=True),
    Rule(
        "optimizer.ema_momentum",
        is_fraction,
        "a number between 0 and 1",
        "optimizer.ema_momentum=0.99",
        optional=True,
    ),
    Rule("split.n", at_least(3), "a whole number of at least 3", "split.n=5", optional=True),
    Rule("split.fold", at_least(0), "a whole number of at least 0", "split.fold=0", optional=True),
    Rule("split.seed", at_least(0), "a whole number of at least 0", "split.seed=0", optional=True),
    Rule("split.num_images", at_least(1), COUNT, "split.num_images=4", optional=True),
    Rule("split.repeats", at_least(1), COUNT, "split.repeats=1", optional=True),
    Rule(
        "loss.include_background",
        is_flag,
        "true or false",
        "loss.include_background=false",
        optional=True,
    ),
    Rule("model.num_layers", at_least(1), COUNT, "model.num_layers=5", optional=True),
    Rule("model.base_filters", at_least(1), COUNT, "model.base_filters=16", optional=True),
    Rule(
        "callbacks.early_stopping.patience",
        at_least(1),
        COUNT,
        "callbacks.early_stopping.patience=20",
        optional=True,
    ),
    Rule(
        "callbacks.reduce_lr.patience",
        at_least(1),
        COUNT,
        "callbacks.reduce_lr.patience=8",
        optional=True,
    ),
    Rule(
        "callbacks.reduce_lr.factor",
        is_fraction,
        "a number between 0 and 1",
        "callbacks.reduce_lr.factor=0.5",
        optional=True,
    ),
    Rule(
        "callbacks.epoch_images.num_images",
        at_least(1),
        COUNT,
        "callbacks.epoch_images.num_images=6",
        optional=True,
    ),
    Rule(
        "callbacks.epoch_images.every",
        at_least(1),
        COUNT,
        "callbacks.epoch_images.every=1",
        optional=True,
    ),
)
CLOSED_SECTIONS = (
    *("", "trainer", "tracking", "dataset", "dataset.patch", "predict", "score", "launcher"),
)
OTHER_KEYS = {"monitor", "objective", "dataset.classes", "dataset.layout"}


def check_sections(cfg: DictConfig, sections: Sequence[str]) -> None:
    """The rules of some sections alone; InputError with every problem of theirs."""
    settings = {name: compose.plain(cfg[name]) for name in sections}
    rules = [rule for rule in RULES if rule.key.split(".")[0] in sections]
    if problems := list(broken_rules(settings, rules)):
        raise InputError(problems)


def check_settings(cfg: DictConfig | dict) -> None:
    """The light step; raises InputError with every problem of the settings."""
    try:
        settings = compose.plain(cfg)
    except OmegaConfBaseException as error:
        raise InputError(f"The configuration does not resolve: {error}") from error
    problems = [*unknown_keys(settings), *broken_rules(settings, RULES), *class_problems(settings)]
    if not problems:
        problems = [*name_problems(settings), *size_problems(settings), *weight_problems(settings)]
        problems += [*registry_problems(settings), *share_problems(settings)]
    if problems:
        raise InputError(problems)


def unknown_keys(settings: dict) -> Iterator[str]:
    """Keys that nothing reads, such as a misspelt one in a yaml of one's own."""
    known = {rule.key for rule in RULES} | OTHER_KEYS | set(TARGET_SECTIONS)
    for section in CLOSED_SECTIONS:
        node = lookup(settings, section) if section else settings
        for name in node if isinstance(node, dict) else ():
            key = f"{section}.{name}".lstrip(".")
            siblings = [word for word in known if word.startswith(section)]
            if key not in known and key not in CLOSED_SECTIONS:
                yield f"Unknown option {key!r}.{did_you_mean(key, siblings)}"


def class_problems(settings: dict) -> Iterator[str]:
    """Classes are an ordered list of {name, color}, background (black) first, none twice."""
    classes = lookup(settings, "dataset.classes")
    entries = classes if isinstance(classes, list) else []
    if len(entries) > MAX_CLASSES:
        yield f"dataset.classes has {len(entries)} classes; a mask can hold {MAX_CLASSES}."
    if len(entries) < 2 or not all(
        isinstance(e, dict) and {"name", "color"} == set(e) for e in entries
    ):
        yield "dataset.classes must list {name, color}, the background first and a defect after it."
        return
    if entries[0]["name"] != "background" or entries[0]["color"] != [0, 0, 0]:
        yield "dataset.classes must begin with {name: background, color: [0, 0, 0]}."
    for entry in entries:
        name = entry["name"]
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w-]*", name):
            yield f"Class name {name!r} must be a text of letters, digits, _ and - only."
        elif name == "good":
            yield "No class can be called good: that is what pictures without a defect are."
        color = entry["color"] if isinstance(entry["color"], list) else []
        if len(color) != 3 or not all(is_int(part) and 0 <= part <= 255 for part in color):
            yield f"Color {entry['color']} of {entry['name']} must be three numbers, 0 to 255."
    for what in ("name", "color"):
        values = [str(entry[what]) for entry in entries]
        for value in sorted({value for value in values if values.count(value) > 1}):
            yield f"dataset.classes has the {what} {value} twice."


def name_problems(settings: dict) -> Iterator[str]:
    """`monitor` and `objective` must be figures that exist; Keras would only warn."""
    defects = [entry["name"] for entry in settings["dataset"]["classes"][1:]]
    for key, known in (("monitor", monitors(defects)), ("objective", objectives(defects))):
        if settings[key] not in known:
            value, hint = settings[key], did_you_mean(str(settings[key]), known)
            yield f"{key}={value} is no figure of this run.{hint} There are: {', '.join(known)}"


def check_objective(objective: str, cfg: DictConfig) -> None:
    """Raises InputError unless it is a figure of runs configured by `cfg`."""
    known = objectives([entry["name"] for entry in cfg.dataset.classes][1:])
    if objective not in known:
        hint = did_you_mean(str(objective), known)
        raise InputError(
            f"objective={objective} is no figure of this run.{hint} There are: {', '.join(known)}"
        )


def monitors(defects: list[str]) -> list[str]:
    """What Keras's callbacks can watch."""
    figures = ["loss", "dice", "iou", *(f"{f}/{name}" for f in ("dice", "iou") for name in defects)]
    return [f"{prefix}{figure}" for prefix in ("val_", "") for figure in figures]


def objectives(defects: list[str]) -> list[str]:
    """Final validation figures a sweep may compare; the seed's own metric is never one."""
    figures = ["dice", "iou", "precision", "recall"]
    more = ["defect_dice", "defect_iou", "image_dice", "image_iou"]
    classwise = [f"{figure}/{name}" for figure in figures for name in defects]
    return [f"val/{name}" for name in [*figures, *more, *classwise]]


def size_problems(settings: dict) -> Iterator[str]:
    """Each level below the first halves the picture: both sides must divide by 2^(levels - 1)."""
    levels = lookup(settings, "model.num_layers")
    if levels is MISSING:
        return
    size = settings["dataset"]["image_size"]
    sides = size if isinstance(size, list) else [size, size]
    step = 2 ** (levels - 1)
    if any(side % step for side in sides):
        fitting = [math.ceil(side / step) * step for side in sides]
        text = compose.size_text(fitting)
        yield (
            f"dataset.image_size={size} must be divisible by {step} for model.num_layers={levels}. "
            f"Try dataset.image_size={text}, or fewer layers"
        )


def weight_problems(settings: dict) -> Iterator[str]:
    weights = lookup(settings, "loss.class_weights")
    count = len(settings["dataset"]["classes"])
    if weights is MISSING or weights in ("none", "balanced", "effective_number"):
        return
    fits = isinstance(weights, list) and len(weights) == count
    if not fits or not all(is_number(weight) and weight >= 0 for weight in weights):
        yield (
            f"loss.class_weights={weights} is not none, balanced, effective_number, or a list of "
            f"{count} numbers of at least 0, one a class and the background first. Try "
            "loss.class_weights=none"
        )


def share_problems(settings: dict) -> Iterator[str]:
    """Patches on a defect and those of good pictures are shares of one whole."""
    dataset = settings["dataset"]
    patch, good = dataset.get("patch") or {}, dataset.get("good_share") or 0
    if patch.get("size") and good + patch["foreground"] > 1:
        yield (
            f"dataset.good_share={good} and dataset.patch.foreground={patch['foreground']} are "
            "more than all patches together. Try dataset.good_share=0.25 "
            "dataset.patch.foreground=0.5"
        )


def registry_problems(settings: dict) -> Iterator[str]:
    """The registry is a part of the store."""
    tracking = settings["tracking"]
    if tracking.get("register") and not tracking["uri"]:
        yield (
            f"tracking.register={tracking['register']} needs a store, and tracking=none has none. "
            "Use tracking=local or tracking=server, or leave tracking.register out"
        )
