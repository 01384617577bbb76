"""Parts that the folder layouts share: pairs, their facts, their table, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd

from flexunet_exp.data.channels import RGB, Channels
from flexunet_exp.data.known_files import KnownFiles, Shelf
from flexunet_exp.data.scan_record import PICTURES, NetworkView, PictureFacts, picture_facts
from flexunet_exp.errors import InputError
from flexunet_exp.system import interrupt, progress
from flexunet_exp.system.parallel import on_all_cores

COLUMNS = ("image", "mask", "label", "source", "variant", "split", "width", "height", "sha256")

Item = TypeVar("Item")
Result = TypeVar("Result")


class Pair(NamedTuple):
    """A picture, its mask (None: defect-free) and what follows from its place in the folders."""

    image: Path
    mask: Path | None
    source: str
    variant: str = "original"
    split: str = ""
    label: str = ""


def each(
    items: Iterable[Item], read: Callable[[Item], Result], problems: list[str]
) -> list[Result | None]:
    """Results of `read` for all items, in threads; None where it raises InputError.

    Adds the problems of every error to `problems`. Displays the progress.
    """

    def attempt(item: Item) -> Result | InputError:
        try:
            return read(item)
        except InputError as error:
            return error

    todo = list(items)
    results: list[Result | InputError] = []
    with (
        closing(on_all_cores(attempt, todo)) as found,
        progress.displayed(len(todo)) as show,
    ):
        for result in found:
            interrupt.check()
            results.append(result)
            show(len(results))
    failures = [result for result in results if isinstance(result, InputError)]
    problems += [problem for failure in failures for problem in failure.problems]
    return [None if isinstance(result, InputError) else result for result in results]


def each_file(
    items: Iterable[Item],
    path: Callable[[Item], str],
    read: Callable[[Item], Result | None],
    problems: list[str],
    shelf: Shelf[Result],
) -> list[Result | None]:
    """As `each`; a file at the `path` of an item that is known and unchanged is not read.

    An empty path is no file. What was read is kept after an interrupt, too.
    """
    todo = list(items)
    found = [shelf.recall(path(item)) for item in todo]
    unknown = [item for item, facts in zip(todo, found, strict=True) if facts is None]
    try:
        rest = iter(
            each(unknown, lambda item: shelf.note(path(item), lambda: read(item)), problems)
        )
    finally:
        shelf.write()
    return [next(rest) if facts is None else facts for facts in found]


def read_pictures(
    pairs: Sequence[Pair],
    problems: list[str],
    view: NetworkView | None,
    channels: Channels = RGB,
    kept: KnownFiles | None = None,
) -> dict[str, PictureFacts]:
    """The facts of all pictures that can be read, by path; each is decoded once, if at all."""

    def read(path: Path) -> PictureFacts:
        return picture_facts(path, view, channels)

    files = KnownFiles() if kept is None or channels.lights else kept
    shelf = files.shelf(["picture", channels.configured, view is not None], PICTURES)
    found = each_file([p.image for p in pairs], str, read, problems, shelf)
    return {str(p.image): facts for p, facts in zip(pairs, found, strict=True) if facts}


def sample_table(pairs: Sequence[Pair], pictures: Mapping[str, PictureFacts]) -> pd.DataFrame:
    """The sample table of all pairs; size 0 where a picture could not be read."""
    rows = [
        (str(pair.image), str(pair.mask or ""), pair.label, pair.source, pair.variant, pair.split)
        + ((facts.width, facts.height, facts.sha256) if facts else (0, 0, ""))
        for pair in pairs
        for facts in [pictures.get(str(pair.image))]
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def compare_sizes(
    table: pd.DataFrame, shapes: Sequence[tuple[int, ...] | None], problems: list[str]
) -> np.ndarray:
    """Whether the picture and the mask of each row were read and have one size: (N,) bool.

    `shapes` are the masks' (height, width). Adds a problem for every pair of different sizes.
    """
    good = np.zeros(len(table), dtype=bool)
    for index, (row, shape) in enumerate(zip(table.to_dict("records"), shapes, strict=True)):
        good[index] = bool(row["width"]) and shape == (row["height"], row["width"])
        if shape and row["width"] and not good[index]:
            problems.append(
                f"{row['image']} is {row['width']} x {row['height']} pixels, its mask "
                f"{row['mask']} is {shape[1]} x {shape[0]}: both must have one size."
            )
    return good
