"""COCO: one JSON with images, annotations and categories, drawn by pycocotools.

Polygons of one annotation are a union; run lengths go by columns. Category ids are of any start and
with any gaps; their order is the order of the classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from flexunet_exp.data.annotations import raster
from flexunet_exp.data.annotations.formats.format import Format, each, pairs_of
from flexunet_exp.data.annotations.place import Place, member, number, want
from flexunet_exp.data.annotations.raster import Tool
from flexunet_exp.data.annotations.records import Class, Export, Labelled, Marked
from flexunet_exp.data.annotations.shapes import BoxOnly, Polygon, Polygons, Runs, Shape
from flexunet_exp.errors import InputError

TOOL = Tool("COCO", polygon=raster.by_coco, line=raster.lines_exactly)
SPLITS = {"train": "train", "val": "valid", "valid": "valid", "test": "test"}


class Coco(Format):
    """One file, or one for each split: its split is the word train, val, valid or test in it."""

    title = "COCO"

    def recognises(self, place: Place) -> bool:
        return any(is_coco(place.json(path)) for path in place.of_suffix(".json")[:4])

    def read(self, place: Place) -> Export:
        files = [path for path in place.of_suffix(".json") if is_coco(place.json(path))]
        names: dict[str, None] = {}
        pictures: list[Labelled] = []
        for path in files:
            content = place.json(path)
            categories = categories_of(content, place.shown(path))
            names |= dict.fromkeys(name for _, name in sorted(categories.items()))
            pictures += pictures_of(place, path, content, categories, split_of(place, path, files))
        listed = {one.file for one in pictures}
        pictures += [
            Labelled(place.shown(path), path, done=False)
            for path in place.pictures.all
            if path not in listed
        ]
        return Export(TOOL, tuple(map(Class, names)), tuple(pictures), tuple(files))


def is_coco(content: Any) -> bool:
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def split_of(place: Place, path: Path, files: list[Path]) -> str:
    """The split that the name of one of several files, or its folder, says."""
    if len(files) < 2:
        return ""
    words = path.relative_to(place.root).with_suffix("").as_posix().lower()
    found = {SPLITS[word] for word in words.replace("/", "_").replace("-", "_").split("_")
             if word in SPLITS}  # fmt: skip
    return found.pop() if len(found) == 1 else ""


def categories_of(content: dict, shown: str) -> dict[int, str]:
    """Id → name; two categories of one name get their supercategories in front."""
    nodes = member(content, "categories", list, shown)
    found: dict[int, tuple[str, str]] = {}
    for index, node in enumerate(nodes):
        where = f"{shown} categories[{index}]"
        want(node, dict, where)
        key = member(node, "id", int, where)
        if key in found:
            raise InputError(f"{where}: the id {key} is there twice.")
        found[key] = (member(node, "name", str, where), str(node.get("supercategory") or ""))
    names = [name for name, _ in found.values()]
    return {
        key: f"{above}_{name}" if names.count(name) > 1 and above else name
        for key, (name, above) in found.items()
    }


def pictures_of(
    place: Place, path: Path, content: dict, categories: dict[int, str], split: str
) -> Iterable[Labelled]:
    shown = place.shown(path)
    by_image: dict[Any, list[tuple[int, dict]]] = {}
    for index, node in enumerate(member(content, "annotations", list, shown)):
        want(node, dict, f"{shown} annotations[{index}]")
        by_image.setdefault(node.get("image_id"), []).append((index, node))
    nodes = member(content, "images", list, shown)
    known = {node.get("id") for node in nodes if isinstance(node, dict)}
    if strange := [key for key in by_image if key not in known]:
        raise InputError(
            f"{shown}: annotations of {len(strange)} images that it does not list, such as "
            f"image_id={strange[0]}."
        )

    def read(pair: tuple[int, dict]) -> Labelled:
        index, node = pair
        where = f"{shown} images[{index}]"
        want(node, dict, where)
        name = member(node, "file_name", str, where)
        size = member(node, "height", int, where), member(node, "width", int, where)
        found = by_image.get(node.get("id"), [])
        objects = each(found, lambda pair: object_of(pair[1], categories, size, shown, pair[0]))
        file = place.pictures.find(name, path.parent)
        return Labelled(
            place.shown(file) if file else name,
            file,
            tuple(objects),
            size,
            split=split,
            written_in=shown,
        )

    return each(enumerate(nodes), read)


def object_of(
    node: dict, categories: dict[int, str], size: tuple[int, int], shown: str, index: int
) -> Marked:
    place = f"annotations[{index}]"
    where = f"{shown} {place}"
    key = member(node, "category_id", int, where)
    if key not in categories:
        listed = ", ".join(f"{number} {name}" for number, name in categories.items())
        raise InputError(f"{where}: category_id={key}, expected one of: {listed}.")
    shape = shape_of(node, size, where)
    return Marked(categories[key], shape, crowd=node.get("iscrowd") in (1, True), place=place)


def shape_of(node: dict, size: tuple[int, int], where: str) -> Shape:
    """By the kind of `segmentation`, as pycocotools does, never by `iscrowd`."""
    segmentation = node.get("segmentation")
    if isinstance(segmentation, dict):
        return runs_of(segmentation, size, where)
    if not segmentation:
        left, top, width, height = box_of(node.get("bbox"), where)
        return BoxOnly((left, top, left + width, top + height))
    parts = want(segmentation, list, f"{where} segmentation")
    if all(isinstance(value, (int, float)) for value in parts):  # one polygon without its list
        parts = [parts]
    rings = [pairs_of(part, f"{where} segmentation") for part in parts]
    if len(rings) == 1:
        return Polygon(rings[0])
    return Polygons(tuple(map(Polygon, rings)))


def runs_of(node: dict, size: tuple[int, int], where: str) -> Runs:
    counts = node.get("counts")
    own = [int(number(value, f"{where} size")) for value in want(node.get("size"), list, where)]
    if tuple(own) != size:
        raise InputError(f"{where}: run lengths of size {own}, its picture is {list(size)}.")
    if isinstance(counts, str):
        return Runs(counts.encode("ascii", "replace"), size)
    values = [want(value, int, f"{where} counts") for value in want(counts, list, where)]
    return Runs(tuple(values), size)


def box_of(values: Any, where: str) -> list[float]:
    box = want(values, list, f"{where} bbox")
    if len(box) != 4:
        raise InputError(f"{where}: a bbox of {len(box)} numbers, expected [x, y, width, height].")
    return np.array([number(value, f"{where} bbox") for value in box]).tolist()
