"""What the tests of formats share: an export read, a picture's mask, the problems in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexunet_exp.data import image_files
from flexunet_exp.data.annotations import classes
from flexunet_exp.data.annotations.drawing import Drawn, Rules, drawn
from flexunet_exp.data.annotations.formats.format import Format
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.records import Export, Labelled
from flexunet_exp.errors import InputError

FILES = Path(__file__).parent / "files"


def export_of(reader: Format, folder: Path, **options) -> Export:
    """What a format reads in a folder that it must recognise."""
    place = Place(folder, options=options) if options else Place(folder)
    assert reader.recognises(place)
    return reader.read(place)


def picture(export: Export, name: str) -> Labelled:
    """The one picture whose name ends so."""
    (found,) = [one for one in export.pictures if one.name.endswith(name)]
    return found


def drawn_of(export: Export, name: str, **rules) -> Drawn:
    """A picture's mask with the classes of its export in their order, and what was lost."""
    one = picture(export, name)
    if one.file is None:
        assert one.size
        size = one.size
    else:
        size = image_files.upright_size(one.file.read_bytes(), one.file)
    known = classes.of_export(export.classes, {}, [])
    return drawn(one, size, export.tool, known, Rules(**rules))


def mask_of(export: Export, name: str, **rules) -> np.ndarray:
    """The mask (H, W) uint8 of a picture that draws without a problem."""
    result = drawn_of(export, name, **rules)
    assert not result.problems
    return result.mask


def problems_of(reader: Format, folder: Path, **options) -> list[str]:
    """The sentences with which a format refuses a folder."""
    with pytest.raises(InputError) as caught:
        export_of(reader, folder, **options)
    return caught.value.problems


def save(path: Path, pixels: np.ndarray | tuple[int, int]) -> Path:
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
