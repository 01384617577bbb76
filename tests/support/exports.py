"""Exports of annotation tools, read and drawn as flexunet import does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexunet_exp.commands.import_ import settings
from flexunet_exp.commands.import_.pipeline import content_of, size_of
from flexunet_exp.config import building
from flexunet_exp.data.annotations import classes
from flexunet_exp.data.annotations.choosing import chosen
from flexunet_exp.data.annotations.drawing import drawn
from flexunet_exp.data.annotations.drawn import Drawn, check_drawn
from flexunet_exp.data.annotations.formats.format import Format
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.records import Export, Labelled, Marked
from flexunet_exp.data.annotations.rules import Rules
from flexunet_exp.data.annotations.shapes import Packed, Shape
from flexunet_exp.errors import InputError

FILES = Path(__file__).parents[1] / "formats" / "files"
SIZE = (48, 64)  # of a picture


def recognised(folder: Path) -> str:
    """The name of the one format that recognises an export."""
    return chosen("auto", settings.formats(), Place(folder))[0]


def read(reader: Format | str, folder: Path, images: Path | None = None, **options) -> Export:
    """What a format, or that of a name, reads in a folder that it must recognise.

    Raises InputError with the problems of reading.
    """
    built = building.build(settings.formats()[reader]) if isinstance(reader, str) else reader
    place = Place(folder, images, options)
    assert built.recognises(place)
    export = built.read(place)
    if export.problems:
        raise InputError(list(export.problems))
    return export


def problems_of(reader: Format | str, folder: Path, **options) -> list[str]:
    """The sentences with which a format refuses a folder."""
    with pytest.raises(InputError) as caught:
        read(reader, folder, **options)
    return caught.value.problems


def named(export: Export, name: str) -> Labelled:
    """The one picture whose name ends so."""
    (found,) = [one for one in export.pictures if one.name.endswith(name)]
    return found


def names(export: Export) -> list[str]:
    """The classes in their order."""
    return [one.name for one in export.classes]


def shape_in(one: Marked, size: tuple[int, int]) -> Shape:
    """The shape of an object in a picture of (height, width)."""
    return one.shape.unpack(size) if isinstance(one.shape, Packed) else one.shape


def drawn_of(export: Export, one: Labelled, **rules) -> Drawn:
    """What becomes of a picture with the classes of its export in their order."""
    has_file = one.file or one.content
    size = size_of(content_of(one), one)[0] if has_file else one.size
    known = classes.of_export(export.classes, {}, [])
    how = Rules(**rules)
    return drawn(one, size, how.tool(export.tool), known, how)


def draw(export: Export, name: str, **rules) -> Drawn:
    """What becomes of the picture whose name ends so."""
    return drawn_of(export, named(export, name), **rules)


def drawings(export: Export, **rules) -> dict[str, Drawn]:
    """What becomes of each labelled picture, by its name in the annotations."""
    return {one.name: drawn_of(export, one, **rules) for one in export.pictures if one.done}


def mask(export: Export, name: str, **rules) -> np.ndarray:
    """The mask (H, W) uint8 of a picture; raises InputError with the problems of drawing."""
    return checked(draw(export, name, **rules)).mask


def masks(export: Export, **rules) -> dict[str, np.ndarray]:
    """The mask of each labelled picture."""
    return {name: checked(one).mask for name, one in drawings(export, **rules).items()}


def checked(result: Drawn) -> Drawn:
    check_drawn(result)
    return result


def save(path: Path, pixels: np.ndarray | tuple[int, int] = SIZE) -> Path:
    """Writes pixels, or a grey picture of (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(pixels, tuple):
        pixels = np.full((*pixels, 3), 90, np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
