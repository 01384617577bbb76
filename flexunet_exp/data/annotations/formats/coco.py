"""COCO: one JSON with images, annotations and categories, drawn by pycocotools.

Polygons of one annotation are a union; run lengths go by columns. Category ids are of any start and
with any gaps; their order is the order of the classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from flexunet_exp.data.annotations import raster
from flexunet_exp.data.annotations.checked_json import member, want
from flexunet_exp.data.annotations.formats.coco_shapes import shape_of
from flexunet_exp.data.annotations.formats.format import Format, each
from flexunet_exp.data.annotations.formats.split_names import split_in
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.raster import Tool
from flexunet_exp.data.annotations.records import Class, Export, Labelled, Marked
from flexunet_exp.errors import InputError

TOOL = Tool("COCO", polygon=raster.by_coco, line=raster.lines_exactly)


class Category(NamedTuple):
    """A category's name, and that of its supercategory, empty where it has none."""

    name: str
    above: str


class Coco(Format):
    """One file, or one for each split: a word such as train in its name or folder says which."""

    title = "COCO"

    def recognises(self, place: Place) -> bool:
        return any(is_coco(place.json(path)) for path in place.of_suffix(".json")[:4])

    def read(self, place: Place) -> Export:
        files = [path for path in place.of_suffix(".json") if is_coco(place.json(path))]
        split_of = split_in if len(files) > 1 else lambda shown: ""
        of_files = list(each(files, lambda path: File(place, path, split_of(place.shown(path)))))
        pictures = [one for file in of_files for one in file.pictures]
        listed = {one.file for one in pictures}
        pictures += [
            Labelled(place.shown(path), path, done=False, split=split_of(place.shown(path)))
            for path in place.pictures.all
            if path not in listed
        ]
        categories = [one for file in of_files for one in file.categories.values()]
        classes, notes = classes_of(categories, pictures)
        problems = in_several_files(pictures)
        return Export(TOOL, classes, tuple(pictures), tuple(files), problems, notes)


def is_coco(content: Any) -> bool:
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def classes_of(
    categories: Sequence[Category], pictures: Iterable[Labelled]
) -> tuple[tuple[Class, ...], list[str]]:
    """The classes, and notes on names that only group the others: Roboflow lists such as id 0."""
    used = {marked.label for one in pictures for marked in one.all_objects}
    above = {one.above for one in categories if one.above != one.name}
    names = dict.fromkeys(one.name for one in categories)
    groups = [name for name in names if name in above and name not in used]
    notes = [
        f"The category {name!r} has no objects and stands above others: it is no class."
        for name in groups
    ]
    return tuple(Class(name) for name in names if name not in groups), notes


def in_several_files(pictures: Iterable[Labelled]) -> list[str]:
    """A problem for each picture that two files list."""
    first: dict[Path, str] = {}
    problems = []
    for one in pictures:
        if one.file and first.setdefault(one.file, one.written_in) != one.written_in:
            problems.append(
                f"{one.written_in}: lists {one.name}, which {first[one.file]} lists too. Take one "
                "of these files out of the folder, or name the other: input=FILE"
            )
    return problems


class File:
    """What one file says. Raises InputError with its problems."""

    def __init__(self, place: Place, path: Path, split: str):
        self.place, self.path, self.split = place, path, split
        self.shown = place.shown(path)
        self.content = place.json(path)
        self.categories = categories_of(self.content, self.shown)
        self.pictures = as_annotators(self._pictures())

    def _pictures(self) -> Iterable[Labelled]:
        nodes = member(self.content, "images", list, self.shown)
        places = [f"{self.shown} images[{index}]" for index in range(len(nodes))]
        keys = list(each(zip(nodes, places, strict=True), lambda pair: key_of(*pair, "id")))
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise InputError(f"{self.shown}: several images have the id {twice}.")
        found = self._by_image(keys)
        return each(
            zip(nodes, places, keys, strict=True),
            lambda each: self._picture(each[0], each[1], found[each[2]]),
        )

    def _by_image(self, keys: list[Any]) -> dict[Any, list[tuple[str, dict]]]:
        """The annotations of each image, with their places."""
        found: dict[Any, list[tuple[str, dict]]] = {key: [] for key in keys}
        strange = []
        for index, node in enumerate(member(self.content, "annotations", list, self.shown)):
            where = f"annotations[{index}]"
            key = key_of(node, f"{self.shown} {where}", "image_id")
            if key in found:
                found[key].append((where, node))
            else:
                strange.append(f"{where} image_id={key}")
        if strange:
            raise InputError(
                f"{self.shown}: {len(strange)} annotations are of images that it does not list, "
                f"such as {strange[0]}. Export it again."
            )
        return found

    def _picture(self, node: dict, where: str, found: list[tuple[str, dict]]) -> Labelled:
        name = member(node, "file_name", str, where)
        size = None
        if node.get("height") is not None or node.get("width") is not None:
            size = member(node, "height", int, where), member(node, "width", int, where)
        file = self.place.pictures.find(name, self.path.parent)
        return Labelled(
            self.place.shown(file) if file else name,
            file,
            tuple(each(found, lambda pair: self._object(*pair, size))),
            size,
            split=self.split,
            written_in=self.shown,
        )

    def _object(self, place: str, node: dict, size: tuple[int, int] | None) -> Marked:
        where = f"{self.shown} {place}"
        key = member(node, "category_id", int, where)
        if key not in self.categories:
            listed = ", ".join(f"{number} {one.name}" for number, one in self.categories.items())
            raise InputError(f"{where}: category_id={key}, expected one of: {listed[:300]}.")
        crowd = node.get("iscrowd") in (1, True)
        shape = shape_of(node, size, where)
        return Marked(self.categories[key].name, shape, crowd=crowd, place=place)


def key_of(node: Any, where: str, key: str) -> int | str:
    """An id, which some tools write as text."""
    found = want(node, dict, where).get(key)
    return found if isinstance(found, str) else member(node, key, int, where)


def categories_of(content: dict, shown: str) -> dict[int, Category]:
    """Id → category, by id; categories of one name get their supercategories in front."""
    found: dict[int, Category] = {}
    for index, node in enumerate(member(content, "categories", list, shown)):
        where = f"{shown} categories[{index}]"
        key = member(want(node, dict, where), "id", int, where)
        if key in found:
            raise InputError(f"{where}: the id {key} is there twice.")
        above = node.get("supercategory")
        found[key] = Category(
            member(node, "name", str, where), above if isinstance(above, str) else ""
        )
    names = [one.name for one in found.values()]
    return {
        key: Category(f"{above}_{name}", above) if names.count(name) > 1 and above
        else Category(name, above)
        for key, (name, above) in sorted(found.items())
    }  # fmt: skip


def as_annotators(entries: Iterable[Labelled]) -> list[Labelled]:
    """Label Studio lists a picture once for each annotator; it becomes one, with them all."""
    found: dict[str, list[Labelled]] = {}
    for one in entries:
        found.setdefault(one.name, []).append(one)
    return [
        same[0] if len(same) == 1 else
        replace(same[0], objects=(), by={str(n): one.objects for n, one in enumerate(same, 1)})
        for same in found.values()
    ]  # fmt: skip
