"""Masks as Pascal VOC has them, and CVAT and datumaro export: SegmentationClass/*.png in colours.

`labelmap.txt` says the colours; CVAT writes those of the task, datumaro may leave them empty and
paint VOC's own by line. Without the file the classes are the twenty of Pascal VOC.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flexunet_exp.data.annotations.checked_json import read_text
from flexunet_exp.data.annotations.formats.format import Format, each
from flexunet_exp.data.annotations.formats.mask_pictures import (
    Colour,
    by_colour,
    classes_of,
    picture_of,
)
from flexunet_exp.data.annotations.formats.split_names import split_named, unless_one
from flexunet_exp.data.annotations.formats.voc_colours import (
    BLACK,
    TABLES,
    VOID,
    colours_of,
    of_pascal,
)
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.raster import Tool
from flexunet_exp.data.annotations.records import BACKGROUND, IGNORED, Class, Export, Labelled
from flexunet_exp.errors import InputError

MASKS, OBJECTS = "SegmentationClass", "SegmentationObject"
MEND = "Add the class to labelmap.txt (NAME:r,g,b::), or export the masks again."


class Voc(Format):
    """One folder with SegmentationClass, or several; ImageSets/Segmentation are the splits."""

    title = "VOC masks"

    def recognises(self, place: Place) -> bool:
        return bool(bases_of(place))

    def read(self, place: Place) -> Export:
        folders = [*each(bases_of(place), lambda base: Folder.of(place, base))]
        pictures = [*each(folders, lambda one: [*one.pictures(place)])]
        classes = {one.name: one for folder in folders for one in classes_of(folder.colours)}
        files = [path for one in folders for path in (one.label_map, *one.lists.values()) if path]
        return Export(
            Tool("VOC masks"),
            tuple(Class(one.name, one.colour) for one in classes.values()),
            tuple(unless_one([one for found in pictures for one in found])),
            tuple(files),
            notes=tuple(note for one in folders for note in one.notes(place)),
        )


def bases_of(place: Place) -> list[Path]:
    """The folders that have masks in SegmentationClass."""
    masks = [path for path in place.of_suffix(".png") if lies_in(path, place, MASKS)]
    return list(dict.fromkeys(base_of(path) for path in masks))


def lies_in(path: Path, place: Place, *names: str) -> bool:
    """Whether one of the folders between the export and a file has one of the names."""
    return path.is_relative_to(place.root) and not set(names).isdisjoint(
        path.relative_to(place.root).parts[:-1]
    )


def base_of(mask: Path) -> Path:
    return next(folder.parent for folder in mask.parents if folder.name == MASKS)


@dataclass(frozen=True)
class Folder:
    """A folder of VOC; its masks and its lists are by name."""

    base: Path
    label_map: Path | None  # labelmap.txt, or class_names.txt of LabelMe's converter
    colours: dict[Colour, str]
    black: str  # the label that labelmap.txt gives to black, which is what nobody painted
    masks: dict[str, Path]
    lists: dict[str, Path]

    @classmethod
    def of(cls, place: Place, base: Path) -> Folder:
        label_map = next((base / name for name in TABLES if base / name in place.files), None)
        masks = {
            path.relative_to(base / MASKS).with_suffix("").as_posix(): path
            for path in place.of_suffix(".png")
            if path.is_relative_to(base / MASKS)
        }
        lists = {
            path.stem: path
            for path in place.of_suffix(".txt")
            if path.parent == base / "ImageSets" / "Segmentation"
        }
        given = colours_of(label_map, place) if label_map else of_pascal()
        colours = {VOID: IGNORED, **given, BLACK: BACKGROUND}
        return cls(base, label_map, colours, given.get(BLACK, ""), masks, lists)

    def pictures(self, place: Place) -> Iterator[Labelled]:
        splits = self.splits(place)
        names = dict.fromkeys([*splits, *self.masks])
        if not self.lists:
            names |= dict.fromkeys(self.unlisted(place))
        for name in names:
            file = self.picture_of(place, name)
            mask = self.masks.get(name)
            yield Labelled(
                place.shown(file) if file else name,
                file,
                masks=(by_colour(mask, self.colours, MEND),) if mask else (),
                done=mask is not None,
                split=splits.get(name, ""),
                written_in=place.shown(mask) if mask else "",
            )

    def picture_of(self, place: Place, name: str) -> Path | None:
        masks = {path for path in place.pictures.all if lies_in(path, place, MASKS, OBJECTS)}
        return picture_of(place, f"{self.base.name}/JPEGImages/{name}", masks)

    def splits(self, place: Place) -> dict[str, str]:
        """Name → split of all that the lists name. Raises InputError for names in several."""
        found: dict[str, str] = {}
        for word, path in self.lists.items():
            for name in names_in(path):
                split = split_named(word)
                if split and found.get(name, "") not in ("", split):
                    raise InputError(
                        f"{place.shown(path)}: {name} is in the list of another split too."
                    )
                found[name] = split or found.get(name, "")
        return found

    def unlisted(self, place: Place) -> Iterator[str]:
        """The pictures in JPEGImages, by name."""
        folder = self.base / "JPEGImages"
        for path in place.pictures.all:
            if path.is_relative_to(folder):
                yield path.relative_to(folder).with_suffix("").as_posix()

    def notes(self, place: Place) -> Iterator[str]:
        if not self.label_map:
            yield (
                f"{place.shown(self.base)} has no labelmap.txt: the classes are those of Pascal "
                "VOC, and 255 is ignored."
            )
        elif self.black not in ("", BACKGROUND, "_background_"):
            yield (
                f"{place.shown(self.label_map)}: {self.black} is black, as are pixels that nobody "
                "painted: it becomes background."
            )
        known = {*self.masks, *self.splits(place)}
        if self.lists and (others := [name for name in self.unlisted(place) if name not in known]):
            yield (
                f"{len(others)} pictures stay out, such as {others[0]}: no list in "
                "ImageSets/Segmentation has them."
            )


def names_in(path: Path) -> list[str]:
    """The names of a list; blanks and `#` begin nothing."""
    lines = (line.strip().strip('"') for line in read_text(path).splitlines())
    return [line for line in lines if line and not line.startswith("#")]
