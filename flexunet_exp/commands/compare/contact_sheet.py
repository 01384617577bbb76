"""The contact sheet: the same test pictures as each leader predicted them, with their truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from flexunet_exp.commands.compare.evidence import TEST, Evidence, Files, Tested
from flexunet_exp.config import validation
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data import masks
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.errors import InputError
from flexunet_exp.evaluation import results
from flexunet_exp.reporting import panels
from flexunet_exp.runs import folder
from flexunet_exp.scores import confusions

SIDE = 256  # pixels of a tile's longer side
NOTHING = np.uint8(235)  # grey of a tile with nothing to show


@dataclass(frozen=True)
class Chosen:
    """A test picture, and why it is on the sheet."""

    row: Any  # of the sample table, with its `name`
    why: str
    pixels: np.ndarray  # (C,) pixels of each class in the truth when the picture was scored


@dataclass(frozen=True)
class Column:
    """A leader on the sheet, with its title."""

    title: str
    evidence: Evidence

    def run_of(self, chosen: Chosen) -> tuple[Tested, int] | None:
        """The leader's first run that was tested on a picture, and the picture's index in it."""
        key = (chosen.row.name, chosen.row.sha256)
        for one in self.evidence.tested:
            if key in one.keys:
                return one, one.keys.index(key)
        return None


@dataclass(frozen=True)
class Row:
    """A drawn row of the sheet, and its figures as text for readers who cannot see it."""

    strip: np.ndarray  # uint8 (h, w, 3)
    words: str


def draw(columns: Sequence[Column], files: Files, images: int) -> tuple[np.ndarray, str, list[str]]:
    """The sheet, uint8 (h, w, 3), its content as text, and a sentence on each missing part."""
    dataset = dataset_of(columns[0].evidence, files)
    problems: list[str] = []
    drawn = [
        draw_row(dataset, columns, one, files, problems)
        for one in choose(columns[0].evidence, images)
    ]
    if not drawn:
        raise InputError("The first has no test picture with a defect, true or predicted.")
    sheet = panels.contact_sheet([row.strip for row in drawn])
    legend = panels.class_legend(dataset.class_names, dataset.palette, sheet.shape[1])
    words = "; ".join(row.words for row in drawn)
    return np.concatenate([sheet, legend]), words, list(dict.fromkeys(problems))


def dataset_of(evidence: Evidence, files: Files) -> Dataset:
    """The data set of a cell: its classes, colours, and how to read its masks."""
    trial = evidence.tested[0].trial
    cfg = folder.checked_config(files.require(trial, "config/config.yaml"))
    validation.check_targets(cfg, ("dataset",))
    return datasets.from_table(cfg, evidence.tested[0].pictures)


def choose(winner: Evidence, images: int) -> Iterator[Chosen]:
    """Worst, median and best test picture of the winner, then the median one of each class."""
    unit = max(winner.units().values(), key=lambda unit: len(unit.pictures))
    counts, names = unit.counts[0], unit.pictures["name"].tolist()
    extremes = results.pick_extremes(counts, names, 1)
    reasons = {
        index: f"{kind} picture of the first by its Dice"
        for kind in ("worst", "median", "best")
        for index in extremes[kind]
    }
    for index, name in enumerate(winner.classes[1:], start=1):
        picked = results.pick_of_class(counts, names, index)
        if picked:
            reasons.setdefault(picked[len(picked) // 2], f"{name}: its median picture")
    rows = list(datasets.rows(unit.pictures))
    for index, why in list(reasons.items())[:images]:
        yield Chosen(rows[index], why, counts[index].sum(axis=1))


def draw_row(
    dataset: Dataset,
    columns: Sequence[Column],
    chosen: Chosen,
    files: Files,
    problems: list[str],
) -> Row:
    predicted = [prediction_of(column, chosen, files) for column in columns]
    known = next((mask for mask, _ in predicted if mask is not None), None)
    size = known.shape if known is not None else (chosen.row.height, chosen.row.width)
    image = read_image(dataset, chosen, size, problems)
    truth = read_truth(dataset, chosen, problems)
    shown = [truth, *(mask for mask, _ in predicted)]
    tiles = [
        panels.tile(image, SIDE),
        *(marked(image, mask, dataset.palette) for mask in shown),
    ]
    captions = ["picture", "truth", *(column.title for column in columns)]
    below = ["", "", *(text for _, text in predicted)]
    figures = ", ".join(
        f"{one.title} {text}" for one, (_, text) in zip(columns, predicted, strict=True)
    )
    return Row(
        panels.strip(f"{chosen.row.name}   ({chosen.why})", tiles, captions, below),
        f"{chosen.row.name}: {figures}",
    )


def marked(image: np.ndarray, mask: np.ndarray | None, palette: np.ndarray) -> np.ndarray:
    if mask is None:
        return np.full_like(panels.tile(image, SIDE), NOTHING)
    return panels.marked_tile(image, mask, palette, SIDE)


def prediction_of(column: Column, chosen: Chosen, files: Files) -> tuple[np.ndarray | None, str]:
    """The predicted mask (H, W), and the picture's Dice in words."""
    found = column.run_of(chosen)
    if found is None:
        return None, "not tested on it"
    run, index = found
    dice = confusions.per_image(run.counts[index : index + 1])["dice"].iloc[0]
    caption = "no defect, none found" if np.isnan(dice) else f"Dice {dice:.3f}"
    path = files.find(run.trial, f"{TEST}/predictions/{chosen.row.name}.png")
    try:
        mask = None if path is None else np.asarray(Image.open(path))
    except OSError:
        mask = None
    return (None, f"{caption}, mask not kept") if mask is None else (mask, caption)


def read_image(
    dataset: Dataset, chosen: Chosen, size: tuple[int, int], problems: list[str]
) -> np.ndarray:
    """The picture; grey if its file is gone or has changed since it was scored."""
    path = Path(chosen.row.image)
    try:
        if datasets.picture_hash(path, dataset.channels) == chosen.row.sha256:
            return masks.read_image(path, dataset.bit_depth, dataset.channels)
        problems.append(f"{path} has changed since the runs were made: shown as grey.")
    except (OSError, InputError):
        problems.append(f"{path} is gone: shown as grey.")
    return np.full((*size, 3), 128, np.uint8)


def read_truth(dataset: Dataset, chosen: Chosen, problems: list[str]) -> np.ndarray | None:
    """The true mask (H, W); None if its file is gone or has changed since it was scored."""
    try:
        mask = dataset.layout.read_mask(chosen.row)
    except (OSError, InputError):
        problems.append(f"{chosen.row.mask} is gone: its truth is not shown.")
        return None
    known = mask[mask != masks.IGNORE]
    if np.array_equal(np.bincount(known, minlength=len(chosen.pixels)), chosen.pixels):
        return mask
    problems.append(f"{chosen.row.mask} has changed since the runs were made: it is not shown.")
    return None
