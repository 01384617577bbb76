"""What the readers of public data sets share: places, names of classes, masks that are lacking."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from flexunet_exp.data.annotations.formats.format import Format
from flexunet_exp.data.annotations.formats.mask_pictures import by_value
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.raster import Tool
from flexunet_exp.data.annotations.records import BACKGROUND, Class, Export, Labelled, Stored
from flexunet_exp.data.folders.listing import IMAGE_SUFFIXES
from flexunet_exp.errors import InputError

HALF_RULE = "A mask's pixels count from half of its brightest value on."


class PublicSet(Format):
    """A public data set as it is unpacked; `layout` is its form, for messages.

    The folder may be the whole set or that of one of its objects. Of one object, a class has the
    name of its defect; of several, the object's name is in front: a scratch is not the same on
    each.
    """

    layout: str
    terms: str  # licence and citation
    suffixes: tuple[str, ...] = IMAGE_SUFFIXES

    @abstractmethod
    def matches(self, place: Place, path: Path) -> bool:
        """Whether a file's place is one that no other format has."""

    def recognises(self, place: Place) -> bool:
        return any(self.matches(place, path) for path in place.of_suffix(*self.suffixes))

    def export(
        self,
        place: Place,
        pictures: Iterable[Labelled],
        classes: Iterable[str],
        *,
        files: Iterable[Path] = (),
        problems: Iterable[str] = (),
        notes: Iterable[str] = (),
    ) -> Export:
        """The set; InputError where none of its pictures was found."""
        found = tuple(pictures)
        if not found:
            raise InputError(
                f"{place.given}: no pictures of {self.title}. Expected the folder in which lies "
                f"{self.layout}"
            )
        return Export(
            Tool(self.title),
            tuple(map(Class, classes)),
            found,
            tuple(files),
            list(problems),
            list(notes),
            self.terms,
        )


def parts_of(place: Place, path: Path) -> tuple[str, ...]:
    """The parts of a path from the folder itself on: that may be the folder of one object."""
    return path.relative_to(place.root.parent).parts


def class_names(things: Iterable[str]) -> Callable[[str, str], str]:
    """The name of a class by its object and its defect: the defect's, if there is one object."""
    several = len(set(things)) > 1
    return lambda thing, defect: f"{thing}_{defect}" if several else defect


def by_table(path: Path, table: Mapping[int, str], is_defect: bool = False) -> Stored:
    """A mask whose values are those of a table, 0 the background."""
    known = ", ".join(["0", *(f"{value} {label}" for value, label in sorted(table.items()))])
    mend = f"Expected {known}. Unpack the set again"
    return by_value(path, {0: BACKGROUND} | dict(table), mend, is_defect)


def no_mask(place: Place, path: Path, expected: str) -> str:
    """The problem of a picture that shows a defect and has no mask."""
    return (
        f"{place.shown(path)}: there is no mask {expected}. Unpack the set again, or take the "
        "picture out"
    )


def left_over(masks: Iterable[Path], place: Place) -> list[str]:
    """A note of masks whose picture is not there."""
    names = [place.shown(path) for path in masks]
    if not names:
        return []
    return [f"{len(names)} masks have no picture and are left out, such as {names[0]}."]
