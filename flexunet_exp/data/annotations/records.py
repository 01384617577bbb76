"""What a file of annotations says: its classes, its pictures, and the objects in each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from flexunet_exp.data.annotations.raster import Tool
from flexunet_exp.data.annotations.shapes import Shape

BACKGROUND, IGNORED = "background", "ignore"  # labels that are no defect class


@dataclass(frozen=True)
class Marked:
    """An object: its label as the tool has it, and its shape.

    Objects are drawn by rising `order`, then in the order of the file: later ones lie on top.
    `place` says where it is in the file (`shapes[3]`).
    """

    label: str
    shape: Shape
    order: float = 0
    crowd: bool = False
    place: str = ""


@dataclass(frozen=True)
class Stored:
    """A mask that is a picture already.

    `read` gives label numbers uint8 (H, W), 0 background, 255 ignored, and `labels` their names
    from 1 on. It raises InputError where a value has no label. With `is_defect`, the picture is
    said to show one: a mask without a pixel is then a loss.
    """

    path: Path
    labels: tuple[str, ...]
    read: Callable[[], np.ndarray] = field(repr=False)
    is_defect: bool = False


@dataclass(frozen=True)
class Labelled:
    """A picture with its objects.

    `name` is what the annotations call it, relative to the export. `file` is its file, None where
    it was not found; `content` are its bytes where the annotations hold it. `size` is (height,
    width) as the annotations say, None where they do not. `done` is False where nobody has
    labelled it yet. `by` are the objects of each annotator where there are several.
    """

    name: str
    file: Path | None
    objects: tuple[Marked, ...] = ()
    size: tuple[int, int] | None = None
    done: bool = True
    split: str = ""
    content: Callable[[], bytes] | None = field(default=None, repr=False)
    masks: tuple[Stored, ...] = ()
    by: dict[str, tuple[Marked, ...]] = field(default_factory=dict)
    source: str = ""  # of the physical part, where the format knows it
    label: str = ""  # the main one, where the format knows it without reading its masks
    written_in: str = ""  # the file that says this, for messages


@dataclass(frozen=True)
class Class:
    """A class as the tool has it; `colour` (r, g, b) where the tool has one."""

    name: str
    colour: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Export:
    """All that a format's files say.

    `classes` are in the tool's own order; the labels of all objects are among them, or are
    BACKGROUND or IGNORED. `files` are those that say it. `problems` are sentences that stop the
    import, `notes` are logged.
    `terms` are the licence and the citation of a public data set.
    """

    tool: Tool
    classes: tuple[Class, ...]
    pictures: tuple[Labelled, ...]
    files: tuple[Path, ...] = ()
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()
    terms: str = ""
