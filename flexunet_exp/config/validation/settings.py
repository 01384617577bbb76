"""The light step, without TensorFlow: types, ranges, classes, unknown keys, arguments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flexunet_exp.config import compose
from flexunet_exp.config.options import OPTIONS, SECTIONS, Option, of_command, option
from flexunet_exp.config.rules import MISSING, is_int, lookup
from flexunet_exp.config.validation.arguments import broken_arguments, unfitting_arguments
from flexunet_exp.errors import InputError, did_you_mean

MAX_CLASSES = 255  # index 255 means ignore
MOST_GOOD = 0.5  # the largest share of good pictures that dataset.good_share=adaptive takes
STRIDE = 32  # of an encoder's coarsest features


def check_sections(cfg: DictConfig, sections: Sequence[str]) -> None:
    """Checks some sections alone; raises InputError with every problem."""
    settings = {name: compose.plain(cfg[name]) for name in sections}
    if problems := list(section_problems(settings, sections)):
        raise InputError(problems)


def check_settings(cfg: DictConfig | dict) -> None:
    """The light step; raises InputError with every problem of the settings."""
    try:
        settings = compose.plain(cfg)
    except OmegaConfBaseException as error:
        raise InputError(f"The configuration does not resolve: {error}") from error
    problems = [*unknown_keys(settings), *broken_options(settings, of_train())]
    problems += [*broken_arguments(settings, settings), *class_problems(settings)]
    if not problems:
        problems = [*name_problems(settings), *unfitting_arguments(settings, settings)]
        problems += [*registry_problems(settings), *share_problems(settings)]
        problems += feature_problems(settings)
    if problems:
        raise InputError(problems)


def check_command(cfg: DictConfig, command: str) -> None:
    """The light step for a command that takes the options of train, and has options of its own.

    Raises InputError with every problem of both.
    """
    own = [row.key for row in of_command(command)]
    problems = own_problems(cfg, command)
    shared = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key not in own])
    try:
        check_settings(shared)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems)


def own_problems(cfg: DictConfig, command: str) -> list[str]:
    """The problems of a command's own options."""
    rows = of_command(command)
    own = OmegaConf.masked_copy(cfg, sorted({row.key.split(".")[0] for row in rows}))
    return list(broken_options(compose.plain(own), rows))


def section_problems(settings: dict, sections: Sequence[str]) -> Iterator[str]:
    """The problems of the options of some sections, and of the arguments in them."""
    rows = [row for row in of_train() if row.key.split(".")[0] in sections]
    yield from broken_options(settings, rows)
    yield from broken_arguments(settings, sections)


def of_train() -> list[Option]:
    return [row for row in OPTIONS if not row.commands]


def broken_options(settings: dict, rows: Iterable[Option]) -> Iterator[str]:
    """The problems of options' values by their rules."""
    for row in rows:
        value = lookup(settings, row.key)
        if row.rule is None or (value is MISSING and row.optional):
            continue
        if problem := row.rule.problem(row.key, value, row.example):
            yield problem


def unknown_keys(node: dict, section: str = "") -> Iterator[str]:
    """Keys that no code reads, such as a misspelt one in a person's own yaml."""
    for name, child in node.items():
        key = f"{section}.{name}".lstrip(".")
        if key in SECTIONS and option(key) is None:
            yield from unknown_keys(child if isinstance(child, dict) else {}, key)
        elif option(key) is None:
            yield f"Unknown option {key!r}.{did_you_mean(key, siblings(section))}"


def siblings(section: str) -> list[str]:
    """The known keys of this section."""
    known = {row.key.removesuffix(".*") for row in of_train()} | SECTIONS
    return sorted(key for key in known if key.startswith(section))


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
            yield "No class can be called good: this is the label of pictures without a defect."
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
            yield f"{key}={value} is not a figure of this run.{hint} There are: {', '.join(known)}"


def check_objective(objective: str, cfg: DictConfig) -> None:
    """Raises InputError unless it is a figure of runs configured by `cfg`."""
    known = objectives([entry["name"] for entry in cfg.dataset.classes][1:])
    if objective not in known:
        hint = did_you_mean(str(objective), known)
        raise InputError(
            f"objective={objective} is not a figure of this run.{hint} There are: "
            f"{', '.join(known)}"
        )


def monitors(defects: list[str]) -> list[str]:
    """What Keras's callbacks can watch."""
    figures = ["loss", "dice", "iou", *(f"{f}/{name}" for f in ("dice", "iou") for name in defects)]
    return [f"{prefix}{figure}" for prefix in ("val_", "") for figure in figures]


def objectives(defects: list[str]) -> list[str]:
    """Final validation figures a sweep may compare, without the original program's own metric."""
    figures = ["dice", "iou", "precision", "recall"]
    more = ["defect_dice", "defect_iou", "image_dice", "image_iou"]
    classwise = [f"{figure}/{name}" for figure in figures for name in defects]
    return [f"val/{name}" for name in [*figures, *more, *classwise]]


def share_problems(settings: dict) -> Iterator[str]:
    """The shares of patches on a defect and of good pictures together are at most 1."""
    dataset = settings["dataset"]
    patch, asked = dataset.get("patch") or {}, dataset.get("good_share") or 0
    good = MOST_GOOD if asked == "adaptive" else asked
    has_patches = patch.get("size") or patch.get("features")
    up_to = f" (up to {good})" if asked == "adaptive" else ""
    if has_patches and good + patch["foreground"] > 1:
        yield (
            f"dataset.good_share={asked}{up_to} and "
            f"dataset.patch.foreground={patch['foreground']} are shares of the same patches, and "
            "their sum is above 1. Try dataset.good_share=0.25 dataset.patch.foreground=0.5"
        )


def feature_problems(settings: dict) -> Iterator[str]:
    """Patches of pictures do not go with kept features, nor patches of features without these."""
    dataset = settings["dataset"]
    patch, keeps_features = dataset.get("patch") or {}, dataset["cache"] == "features"
    size, part = patch.get("size"), patch.get("features")
    whole = compose.sides(dataset["image_size"])
    if size and keeps_features:
        yield (
            f"dataset.patch.size={typed(size)}: dataset.cache=features keeps the features of whole "
            "pictures. Use patches of these, dataset.patch.size=null "
            f"dataset.patch.features={fitting_patch(size, whole)}, or another dataset.cache"
        )
    if part and not keeps_features:
        yield (
            f"dataset.patch.features={typed(part)} needs dataset.cache=features. "
            "Patches of pictures are dataset.patch.size"
        )
    if part and keeps_features:
        sides = compose.sides(part)
        if any(side % STRIDE or side > most for side, most in zip(sides, whole, strict=True)):
            yield (
                f"dataset.patch.features={typed(part)} must be divisible by {STRIDE}, "
                f"the encoder's largest stride, and at most {compose.size_text(whole)}, "
                f"dataset.image_size. Try dataset.patch.features={fitting_patch(part, whole)}"
            )


def typed(size: int | Sequence[int]) -> str:
    return compose.size_text(compose.sides(size))


def fitting_patch(size: int | Sequence[int], whole: Sequence[int]) -> str:
    """The next smaller patch of kept features, at least 32 px, within a whole picture."""
    smaller = (min(pair) for pair in zip(compose.sides(size), whole, strict=True))
    return compose.size_text([max(STRIDE, side // STRIDE * STRIDE) for side in smaller])


def registry_problems(settings: dict) -> Iterator[str]:
    """`tracking.register` needs a store, which has the registry."""
    tracking = settings["tracking"]
    if tracking.get("register") and not tracking["uri"]:
        yield (
            f"tracking.register={tracking['register']} needs a store, and tracking=none has none. "
            "Use tracking=local or tracking=server, or leave tracking.register out"
        )
