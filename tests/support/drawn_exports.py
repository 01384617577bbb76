"""Reads and draws the export of an annotation tool, as flexunet import does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from flexunet_exp.commands.import_ import settings
from flexunet_exp.config import building
from flexunet_exp.data import image_files
from flexunet_exp.data.annotations import classes
from flexunet_exp.data.annotations.choosing import chosen
from flexunet_exp.data.annotations.drawing import Drawn, Rules, drawn
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.records import Export
from flexunet_exp.errors import InputError


def recognised(folder: Path) -> str:
    """The name of the one format that recognises an export."""
    return chosen("auto", settings.formats(), Place(folder))[0]


def read(kind: str, folder: Path, images: Path | None = None) -> Export:
    export = building.build(settings.formats()[kind]).read(Place(folder, images))
    if export.problems:
        raise InputError(list(export.problems))
    return export


def draw(export: Export, **rules) -> dict[str, Drawn]:
    """The drawn picture of each name; raises InputError with the problems of drawing."""
    chosen_rules = Rules(**rules)
    known = classes.of_export(export.classes, {}, ())
    tool = chosen_rules.tool(export.tool)
    found = {}
    for one in export.pictures:
        size = one.size or image_files.upright_size(one.file.read_bytes(), one.file)
        found[one.name] = drawn(one, size, tool, known, chosen_rules)
        if found[one.name].problems:
            raise InputError(found[one.name].problems)
    return found


def masks(export: Export, **rules) -> dict[str, np.ndarray]:
    return {name: one.mask for name, one in draw(export, **rules).items()}


def names(export: Export) -> list[str]:
    return [one.name for one in export.classes]


def picture(path: Path, height: int = 48, width: int = 64) -> Path:
    """Writes a small picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.add.outer(np.arange(height), 2 * np.arange(width)).astype(np.uint8)
    Image.fromarray(values).save(path)
    return path
