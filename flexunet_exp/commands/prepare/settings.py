"""The settings of flexunet prepare: checked before anything is read, recorded with the result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from flexunet_exp.config import compose, identity, validation
from flexunet_exp.config.options import of_command, option
from flexunet_exp.config.validation.settings import broken_options, class_problems, section_problems
from flexunet_exp.data.dataset import file_hash
from flexunet_exp.errors import InputError

SHARED = (
    *("data_root", "dataset.name", "dataset.path", "dataset.good", "dataset.good_names"),
    "dataset.sampling",
    *("dataset.layout.mask_suffix", "dataset.layout.masks_in_folders"),
)


def check(cfg: DictConfig) -> None:
    """Raises InputError with every problem of the settings."""
    if problems := list(unusable_choices(cfg)):
        raise InputError(problems)
    try:
        settings = compose.plain(cfg)
    except OmegaConfBaseException as error:
        raise InputError(f"The configuration does not resolve: {error}") from error
    problems = [*option_problems(settings), *class_problems(settings)]
    if not problems and settings["variants"] > 1 and not settings["augmentation"]["transforms"]:
        problems = [
            f"variants={cfg.variants} without any transform would be equal pictures. "
            "Choose augmentation=standard, or variants=1"
        ]
    if problems:
        raise InputError(problems)
    validation.check_targets(cfg, ("dataset", "split", "augmentation"))


def option_problems(settings: dict[str, Any]) -> Iterator[str]:
    """The problems of the command's own options, and of those it shares with training."""
    shared = [row for key in SHARED if (row := option(key))]
    yield from broken_options(settings, [*shared, *of_command("prepare")])
    yield from section_problems(settings, ("split",))


def unusable_choices(cfg: DictConfig) -> list[str]:
    problems = []
    if str(cfg.dataset.layout._target_).endswith(".ImageMask"):
        problems.append(
            "dataset/layout=image_mask is the layout that prepare writes. Choose the layout that "
            "it reads: dataset/layout=mvtec or synthetic"
        )
    if not str(cfg.split._target_).endswith((".ratios", ".folds")) and not problems:
        problems.append("prepare splits the sources itself. Choose split=ratios or split=folds")
    if share := cfg.split.get("calibration"):
        problems.append(
            f"split.calibration={share}: prepare writes train, valid and test alone. Leave it out "
            f"here, and type it to train on the set: split=folders split.calibration={share}"
        )
    return problems


def folder(path: str) -> Path:
    """The absolute path of a typed one, with links resolved."""
    return Path(path).expanduser().resolve()


def check_apart(source: Path, output: Path) -> None:
    """Raises InputError if one of the two folders is the other, or inside the other."""
    if source == output or source in output.parents or output in source.parents:
        raise InputError(
            f"output={output} and input={source} are the same or one inside the other: the next "
            "command would read the new pictures as raw ones. Choose another output=FOLDER"
        )


def made_of(cfg: DictConfig, source: Path) -> dict[str, Any]:
    """What decides the bytes of a prepared data set, except the raw pictures of a folder."""
    settings = compose.plain(cfg)
    names = ("variants", "augment_splits", "seed", "split")
    augments = settings["variants"] > 1
    return {
        "dataset": settings["dataset"]["name"],
        "layout": settings["dataset"]["layout"],
        "image_size": settings["dataset"]["image_size"],
        "sampling": settings["dataset"]["sampling"],
        "bit_depth": settings["dataset"]["bit_depth"],
        **{name: settings[name] for name in names},
        "augmentation": settings["augmentation"]["transforms"] if augments else [],
        "archive": file_hash(str(source)) if source.is_file() else None,
        "code": code_digest(settings),
    }


def code_digest(settings: dict[str, Any]) -> str:
    """16 hex digits over the code that makes the pictures: other code may make other pictures."""
    sources = (
        "data/augmentation",
        "data/image_files.py",
        "data/bit_depth.py",
        "data/folders",
        "data/masks",
        "data/layouts",
    )
    dealt = ("data/splits.py", "data/dataset.py", "data/class_pixels.py")
    ours = (
        "commands/prepare/variants.py",
        "commands/prepare/pasted.py",
        "commands/prepare/names.py",
        "data/sets/encoding.py",
    )
    decisive = [
        identity.code_digests(*sources, *dealt, *ours),
        identity.own_code_digests(settings),
        [cv2.__version__, np.__version__, PIL.__version__],
    ]
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]
