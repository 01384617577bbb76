"""The settings of flexunet prepare: checked before anything is read, kept with what they made."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from flexunet_exp.config import compose, identity, validation
from flexunet_exp.config.validation.rules import (
    COUNT,
    Rule,
    at_least,
    broken_rules,
    is_size,
    is_text,
    or_null,
)
from flexunet_exp.config.validation.settings import RULES as OF_TRAINING
from flexunet_exp.config.validation.settings import class_problems
from flexunet_exp.data.dataset import file_hash
from flexunet_exp.data.splits import SPLITS
from flexunet_exp.errors import InputError

SHARED = ("data_root", "dataset.name", "dataset.path", "dataset.good")


def are_splits(value: Any) -> bool:
    return isinstance(value, list) and set(map(str, value)) <= {*SPLITS}


RULES = (
    *(rule for rule in OF_TRAINING if rule.key in SHARED or rule.key.startswith("split.")),
    Rule("input", or_null(is_text), "a folder or an archive", "input=data/zipper.tar.xz"),
    Rule("output", is_text, "a folder", "output=data/imagemask/MVTEC-ZIPPER"),
    Rule("variants", at_least(1), COUNT, "variants=17"),
    Rule("augment_splits", are_splits, "a list of train, valid, test", "augment_splits=[train]"),
    Rule("seed", at_least(0), "a whole number of at least 0", "seed=0"),
    Rule("workers", or_null(at_least(1)), f"null or {COUNT}", "workers=2"),
    Rule(
        "dataset.image_size",
        or_null(is_size),
        "null, a whole number or [height, width], each at least 8",
        "dataset.image_size=512",
    ),
)


def check(cfg: DictConfig) -> None:
    """Raises InputError with every problem of the settings."""
    if problems := list(unusable_choices(cfg)):
        raise InputError(problems)
    try:
        settings = compose.plain(cfg)
    except OmegaConfBaseException as error:
        raise InputError(f"The configuration does not resolve: {error}") from error
    problems = [*broken_rules(settings, RULES), *class_problems(settings)]
    if not problems and settings["variants"] > 1 and not settings["augmentation"]["transforms"]:
        problems = [
            f"variants={cfg.variants} of a list without transforms would be equal pictures. "
            "Choose augmentation=standard, or variants=1"
        ]
    if problems:
        raise InputError(problems)
    validation.check_targets(cfg, ("dataset", "split", "augmentation"))


def unusable_choices(cfg: DictConfig) -> list[str]:
    problems = []
    if str(cfg.dataset.layout._target_).endswith(".ImageMask"):
        problems.append(
            "dataset/layout=image_mask is what prepare makes. Choose what it makes that of: "
            "dataset/layout=mvtec or synthetic"
        )
    if not str(cfg.split._target_).endswith((".ratios", ".folds")) and not problems:
        problems.append("prepare deals the sources itself. Choose split=ratios or split=folds")
    return problems


def folder(path: str) -> Path:
    """The real place of a path that somebody typed."""
    return Path(path).expanduser().resolve()


def check_apart(source: Path, output: Path) -> None:
    """Raises InputError where what is read and what is written lie in each other."""
    if source == output or source in output.parents or output in source.parents:
        raise InputError(
            f"output={output} and input={source} lie in each other: the next reading would take "
            "the new pictures for raw ones. Choose another output=FOLDER"
        )


def made_of(cfg: DictConfig, source: Path) -> dict[str, Any]:
    """What decides the bytes of a prepared data set, but for the pictures in a folder."""
    settings = compose.plain(cfg)
    names = ("variants", "augment_splits", "seed", "split")
    augments = settings["variants"] > 1
    return {
        "dataset": settings["dataset"]["name"],
        "layout": settings["dataset"]["layout"],
        "image_size": settings["dataset"]["image_size"],
        **{name: settings[name] for name in names},
        "augmentation": settings["augmentation"]["transforms"] if augments else [],
        "archive": file_hash(str(source)) if source.is_file() else None,
        "code": code_digest(settings),
    }


def code_digest(settings: dict[str, Any]) -> str:
    """16 hex digits over the code that makes the pictures: other code may make other ones."""
    sources = ("data/augmentation", "data/image_files.py", "data/masks.py", "data/layouts.py")
    dealt = ("data/splits.py", "data/dataset.py", "data/class_pixels.py")
    ours = (
        "commands/prepare/variants.py",
        "commands/prepare/names.py",
        "commands/prepare/encoding.py",
    )
    decisive = [
        [identity.source_digest(compose.PACKAGE / path) for path in (*sources, *dealt, *ours)],
        identity.own_code_digests(settings),
        [cv2.__version__, np.__version__, PIL.__version__],
    ]
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]
