"""What every format has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np

from flexunet_exp.data.annotations.checked_json import number, want
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.records import Export, Labelled
from flexunet_exp.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Format(ABC):
    """A format of annotations: `recognises` is cheap and looks at content, `read` reads it all."""

    title: str  # as its tool is called, for messages
    options: tuple[str, ...] = ()  # settings that it reads, and others do not: `place.options`

    @abstractmethod
    def recognises(self, place: Place) -> bool:
        """Whether the files of an export are of this format."""

    @abstractmethod
    def read(self, place: Place) -> Export:
        """Everything that the files say. Raises InputError with every problem."""


def each(items: Iterable[Item], read: Callable[[Item], Result]) -> Iterator[Result]:
    """The results of `read`; raises InputError with the problems of all items at the end."""
    problems: list[str] = []
    for item in items:
        try:
            yield read(item)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)


def points_of(values: object, where: str) -> np.ndarray:
    """Points (N, 2) of a list of [x, y]; numbers that are not finite stay, for the report."""
    pairs = want(values, list, where)
    try:
        points = np.array(pairs, float)
    except (TypeError, ValueError, OverflowError):
        points = np.zeros((0, 0))
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise InputError(f"{where}: expected points [[x, y], …].")
    return points


def pairs_of(values: object, where: str) -> np.ndarray:
    """Points (N, 2) of a flat list x, y, x, y …"""
    flat = want(values, list, where)
    if len(flat) % 2 or not flat:
        raise InputError(f"{where}: {len(flat)} numbers, expected pairs x, y.")
    return np.array([number(value, where) for value in flat]).reshape(-1, 2)


def not_mentioned(place: Place, pictures: Iterable[Labelled]) -> list[Labelled]:
    """The pictures of an export that its annotations do not mention: nobody labelled them."""
    known = {one.file for one in pictures}
    return [
        Labelled(place.shown(path), path, done=False)
        for path in place.pictures.all
        if path not in known
    ]


def without_picture(pictures: Iterable[Labelled]) -> list[str]:
    """A problem for each picture whose file was not found."""
    return [
        f"{one.written_in or one.name}: its picture {one.name} is not there. Put it into the "
        "folder, or name the folder of the pictures: images=FOLDER"
        for one in pictures
        if one.file is None and one.content is None
    ]
