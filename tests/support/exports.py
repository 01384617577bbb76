"""Exports of annotation tools, read and drawn as flexunet import does."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flexunet_exp.commands.import_ import settings
from flexunet_exp.commands.import_.pipeline import content_of, size_of
from flexunet_exp.data.annotations import classes as naming
from flexunet_exp.data.annotations.choosing import chosen
from flexunet_exp.data.annotations.drawing import Drawn, Rules, drawn
from flexunet_exp.data.annotations.formats.format import Format
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.records import Export, Labelled

FILES = Path(__file__).parents[1] / "formats" / "files"


def drawings(export: Export, **rules) -> dict[str, Drawn]:
    """What becomes of each picture, by its name in the annotations."""
    known = naming.of_export(export.classes, {}, [])
    how = Rules(**rules)
    return {
        one.name: drawn(one, size_of(content_of(one), one)[0], how.tool(export.tool), known, how)
        for one in export.pictures
        if one.done
    }


def masks(reader: Format, folder: Path, **rules) -> dict[str, np.ndarray]:
    """The mask of each labelled picture; nothing may be wrong with it."""
    found = drawings(reader.read(Place(folder)), **rules)
    assert not [problem for one in found.values() for problem in one.problems]
    return {name: one.mask for name, one in found.items()}


def named(export: Export, name: str) -> Labelled:
    (found,) = [one for one in export.pictures if one.name == name]
    return found


def recognised(folder: Path) -> str:
    """The name of the format that an export is found to be of."""
    return chosen("auto", settings.formats(), Place(folder))[0]
