"""The settings of flexunet import: checked before anything is read, recorded with the result."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flexunet_exp.config import compose, identity, own_conf
from flexunet_exp.config.options import of_command
from flexunet_exp.config.validation.settings import broken_options
from flexunet_exp.data.annotations.rules import Rules
from flexunet_exp.errors import InputError

GROUP = "annotations"  # of conf/: a yaml for each format
DRAWING = ("raster", "overlap", "line_width", "point_radius", "crowd", "boxes", "annotator")
OF_FORMAT = ("image", "mask", "values", "threshold")  # which not every format reads
MADE_BY = (  # the code that decides the bytes of a set
    "data/annotations",
    "data/masks",
    "data/grey_levels.py",
    "data/image_files.py",
    "data/sets/encoding.py",
    "data/splits.py",
)
DECISIVE = (
    *DRAWING,
    *OF_FORMAT,
    "classes",
    "ignore",
    "unlabelled",
    "splits",
    "ratios",
    "seed",
    "group",
)


def check(cfg: DictConfig) -> None:
    """Raises InputError with every problem of the settings."""
    try:
        settings = compose.plain(cfg)
    except OmegaConfBaseException as error:
        raise InputError(f"The configuration does not resolve: {error}") from error
    problems = [*broken_options(settings, of_command("import")), *class_problems(settings)]
    if settings["group"] and not problems:
        problems += group_problems(settings["group"])
    if problems:
        raise InputError(problems)


def class_problems(settings: dict[str, Any]) -> Iterator[str]:
    given = settings["classes"] or {}
    if not isinstance(given, dict):
        yield f"classes={given!r}: expected {{new: [old, other]}}"
        return
    for new, labels in given.items():
        if not isinstance(labels, list) or not all(isinstance(one, str) for one in labels):
            yield f"classes.{new}: found {labels!r}, expected the labels that become it: [{new}]"


def group_problems(pattern: str) -> Iterator[str]:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        yield f"group={pattern!r}: no regular expression ({error})"
        return
    if not groups:
        yield f"group={pattern!r}: expected a group in brackets, which is the part: '(.+)_cam\\d'"


def check_apart(source: Path, output: Path) -> None:
    """Raises InputError if the output lies in the export, or the export in it."""
    if source == output or source in output.parents or output in source.parents:
        raise InputError(
            f"output={output} and input={source} are the same or one inside the other: the next "
            "import would read its own pictures. Choose another output=FOLDER"
        )


def formats() -> dict[str, Any]:
    """The formats: each yaml of conf/annotations, a person's own before the shipped one."""
    own = own_conf.own_folder()
    folders = [compose.conf_dir(), *([own] if own else [])]
    files = {file.stem: file for folder in folders for file in (folder / GROUP).glob("*.yaml")}
    return {
        name: OmegaConf.to_container(OmegaConf.load(file)) for name, file in sorted(files.items())
    }


def of_format(cfg: DictConfig) -> dict[str, Any]:
    """The settings of single formats, those that were given."""
    settings = compose.plain(cfg)
    return {name: settings[name] for name in OF_FORMAT if settings[name] is not None}


def rules_of(cfg: DictConfig) -> Rules:
    return Rules(**{name: cfg[name] for name in DRAWING})


def made_of(cfg: DictConfig, kind: str) -> dict[str, Any]:
    """What decides the bytes of an imported set, except the files of the export."""
    settings = compose.plain(cfg)
    versions = [cv2.__version__, np.__version__, PIL.__version__]
    code = [
        *identity.code_digests(*MADE_BY),
        *versions,
    ]
    return {
        "format": kind,
        **{name: settings[name] for name in DECISIVE},
        "code": identity.hashed(code),
    }
