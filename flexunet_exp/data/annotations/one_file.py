"""The pictures that one file of annotations describes, without a look for their files."""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from urllib.parse import unquote

from flexunet_exp.config import building
from flexunet_exp.data.annotations.place import Pictures, Place
from flexunet_exp.data.annotations.raster import Tool
from flexunet_exp.data.annotations.records import Labelled
from flexunet_exp.errors import InputError

READING = Lock()  # of a large file, by one thread alone
ByName = dict[str, list[Labelled]]  # file name → the pictures that are called so


class Nowhere(Pictures):
    """No pictures."""

    def __init__(self) -> None:
        self.folder = Path()
        self.all = []
        self.by_path, self.by_name, self.by_stem = {}, {}, {}


class OneFile(Place):
    """A file of annotations, its pictures elsewhere."""

    @cached_property
    def pictures(self) -> Pictures:
        return Nowhere()


def described(target: str, file: Path, image: Path) -> tuple[Labelled, Tool]:
    """What a file says of a picture, and its tool; `target` is the class of its format.

    Of several pictures of one name, the one counts whose path ends most like the picture's. Raises
    InputError where the file says nothing of it.
    """
    with READING:
        by_name, tool = read(target, file, file.stat().st_mtime_ns)
    found = by_name.get(image.name.lower(), [])
    if not found and len(by_name) == 1:
        (found,) = by_name.values()
    if not found:
        raise InputError(f"{file}: says nothing of the picture {image}.")
    return max(found, key=lambda one: shared_end(parts_of(one.name), image.parts)), tool


@lru_cache(4)
def read(target: str, file: Path, stamp: int) -> tuple[ByName, Tool]:
    """The pictures of a file by their names; `stamp` changes with the file."""
    export = building.build({"_target_": target}).read(OneFile(file))
    by_name: ByName = {}
    for one in export.pictures:
        by_name.setdefault(parts_of(one.name)[-1].lower(), []).append(one)
    return by_name, export.tool


def parts_of(name: str) -> list[str]:
    return re.split(r"[\\/]", unquote(name))


def shared_end(parts: list[str], others: tuple[str, ...]) -> int:
    """How many parts two paths have in common, from their ends on."""
    count = 0
    for one, other in zip(reversed(parts), reversed(others), strict=False):
        if one.lower() != other.lower():
            break
        count += 1
    return count
