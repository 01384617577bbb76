"""The record that an evaluation keeps of a split's pictures, and the figures computed from it.

The record has every count for each picture, so that figures can be computed again, pooled over
folds and resampled without the network. Its files lie in one folder, in one order of pictures.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flexunet_exp.data.splits import GOOD
from flexunet_exp.errors import InputError
from flexunet_exp.scores import bootstrap, boundary, confusions, curves, objects
from flexunet_exp.system.files import replace_file

IMAGES, OBJECTS, INTERVALS = "images.csv", "objects.csv", "intervals.csv"
CONFUSIONS, HISTOGRAMS, BOUNDARIES = "confusions.npz", "histograms.npz", "boundaries.npz"
OVERALL = (  # the figures over all classes that have an interval
    *("dice", "iou", "defect_dice", "pixel_auroc", "average_precision", "au_pro", "image_auroc"),
    *("object_recall", "boundary_f1"),
)
TEXT = ("name", "source", "label", "sha256")  # of each picture


@dataclass(frozen=True)
class Record:
    """N pictures of C classes, background first."""

    images: pd.DataFrame  # a row a picture: its name, source, label and sha256
    classes: tuple[str, ...]
    counts: np.ndarray  # (N, C, C) int64, truth × prediction
    seed_dice: np.ndarray  # (N,) dice_coef_multiclass, the original program's metric
    histograms: curves.ScoreHistograms
    objects: pd.DataFrame  # a row an object, as `objects.object_table` has it
    boundaries: np.ndarray  # (N, C, 4) int64, as `boundary.boundary_counts` has them

    @property
    def names(self) -> list[str]:
        return self.images["name"].tolist()

    @property
    def is_good(self) -> np.ndarray:
        """Whether a picture (N,) has no true defect."""
        return ~np.any(self.counts[:, 1:], axis=(1, 2))

    @property
    def num_sources(self) -> int:
        return int(self.images["source"].nunique())


def pooled(records: Sequence[Record]) -> Record:
    """All pictures of several records of the same classes, such as the folds of one split."""
    return Record(
        pd.concat([record.images for record in records], ignore_index=True),
        records[0].classes,
        np.concatenate([record.counts for record in records]),
        np.concatenate([record.seed_dice for record in records]),
        curves.concatenate([record.histograms for record in records]),
        pd.concat([record.objects for record in records], ignore_index=True),
        np.concatenate([record.boundaries for record in records]),
    )


def save(record: Record, folder: Path) -> None:
    """Writes the record into `folder`, each file whole or not at all."""
    names = record.names
    table = pd.concat([record.images, confusions.per_image(record.counts)], axis=1)
    replace_file(folder / IMAGES, table.to_csv(index=False).encode())
    replace_file(folder / OBJECTS, record.objects.to_csv(index=False).encode())
    confusions.save_counts(
        folder / CONFUSIONS, names, record.counts, record.seed_dice, record.classes
    )
    curves.save_histograms(folder / HISTOGRAMS, names, record.histograms)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, names=np.array(names, np.str_), counts=record.boundaries)
    replace_file(folder / BOUNDARIES, buffer.getvalue())


def load(folder: Path) -> Record:
    """Reads what `save` wrote. Raises InputError naming a file that is missing or damaged."""
    kept = confusions.load_counts(folder / CONFUSIONS)
    images = read_table(folder / IMAGES)[list(TEXT)]
    stored = curves.load_histograms(folder / HISTOGRAMS)
    boundaries = read_boundaries(folder / BOUNDARIES)
    shape = (*kept.counts.shape[:2], 4)
    orders = (kept.names.tolist(), images["name"].tolist(), stored.names.tolist())
    if boundaries.shape != shape or any(names != orders[0] for names in orders):
        raise InputError(
            f"{folder}: its files are of different pictures; score the run again with "
            "`flexunet evaluate run=RUN`."
        )
    return Record(
        images,
        tuple(kept.classes.tolist()),
        kept.counts,
        kept.dice_coef_multiclass,
        stored.histograms,
        read_table(folder / OBJECTS),
        boundaries,
    )


def read_table(path: Path) -> pd.DataFrame:
    try:
        # A source may be called "nan" or 007: texts stay what they are.
        kinds = dict.fromkeys((*TEXT, "image", "kind", "class"), str)
        return pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise unreadable(path) from error


def read_boundaries(path: Path) -> np.ndarray:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            return archive["counts"]
    except Exception as error:  # zipfile, zlib and NumPy raise errors of many types
        raise unreadable(path) from error


def unreadable(path: Path) -> InputError:
    return InputError(
        f"{path}: missing or damaged, expected a file of an evaluation: score the run again with "
        "`flexunet evaluate run=RUN`."
    )


def summary(record: Record, object_overlap: float) -> dict[str, float]:
    """All figures by name: those of `confusions`, `curves`, `objects` and `boundary`.

    A defect counts as found where a share of `object_overlap` of it is predicted as its class.
    """
    figures = confusions.summary(record.counts, record.classes)
    figures["dice_coef_multiclass"] = confusions.mean_defined(record.seed_dice)
    figures["baseline_dice_coef_multiclass"] = confusions.mean_defined(
        confusions.hard_dice_coef_multiclass(confusions.background_only(record.counts))
    )
    figures |= {name: float(value) for name, value in curves.figures(record.histograms).items()}
    is_good = dict(zip(record.names, record.is_good.tolist(), strict=True))
    figures |= objects.object_figures(record.objects, is_good, record.classes, object_overlap)
    outlines = boundary.boundary_f1(record.boundaries.sum(axis=0))
    figures["boundary_f1"] = confusions.mean_defined(outlines[1:])
    names = zip(record.classes[1:], outlines[1:], strict=True)
    return figures | {f"boundary_f1/{name}": float(value) for name, value in names}


def intervals(
    record: Record, object_overlap: float, resamples: int, figures: Mapping[str, float]
) -> pd.DataFrame:
    """Value, 95 % interval (`low`, `high`) and number of `sources` of the figures that have one.

    The intervals come from the bootstrap over sources, stratified by class. An interval is NaN with
    fewer than `bootstrap.MIN_SOURCES` sources; for a class, those that show it are counted.
    Intervals over all classes are NaN where a class has fewer than `bootstrap.MIN_STRATUM` sources,
    which resampling would hardly vary.
    """
    sources, labels = (record.images[name].to_numpy(str) for name in ("source", "label"))
    weights = bootstrap.resampled(sources, labels, resamples)
    shown_by = sources_of_classes(record)
    strata = record.images.groupby("label")["source"].nunique().drop(GOOD, errors="ignore")
    thinnest = min([number for number in shown_by.values() if number] + strata.tolist(), default=0)
    draws = class_draws(record, weights)
    number = {name: shown_by[name.partition("/")[2]] for name in draws}
    few = {name for name in draws if number[name] < bootstrap.MIN_SOURCES}
    if record.num_sources >= bootstrap.MIN_SOURCES and thinnest >= bootstrap.MIN_STRATUM:
        draws |= overall_draws(record, object_overlap, weights)
    if len(set(sources[labels == GOOD])) < bootstrap.MIN_STRATUM:
        draws.pop("image_auroc", None)
    rows = {}
    for name in (*OVERALL, *number):
        known = name in draws and name not in few
        low, high = bootstrap.interval(draws[name]) if known else (np.nan, np.nan)
        rows[name] = (figures[name], low, high, number.get(name, record.num_sources))
    columns = ["value", "low", "high", "sources"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.rename_axis("figure")


def sources_of_classes(record: Record) -> dict[str, int]:
    """How many sources show each class in truth."""
    shown = record.counts.sum(axis=2) > 0
    source = record.images["source"].to_numpy()
    defects = enumerate(record.classes[1:], start=1)
    return {name: len(set(source[shown[:, index]])) for index, name in defects}


def overall_draws(
    record: Record, object_overlap: float, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """The figures `OVERALL`, (R,) each, in the resamples `weights` (R, N)."""
    counts = record.counts
    found = objects.object_counts(record.objects, record.names, record.classes, object_overlap)
    outlines = boundary.boundary_f1(np.tensordot(weights, record.boundaries, axes=1))
    draws: dict[str, Any] = {
        "dice": bootstrap.macro_dice(counts, weights),
        "iou": bootstrap.macro_iou(counts, weights),
        "defect_dice": bootstrap.defect_dice(counts, weights),
        **curves.figures(curves.thinned(record.histograms), weights),
        "object_recall": objects.object_recall(found, weights),
        "boundary_f1": confusions.mean_over_last(outlines[:, 1:]),
    }
    # It has one score a picture, too few to be thinned.
    return draws | {"image_auroc": curves.image_auroc(record.histograms, weights)}


def class_draws(record: Record, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Dice and IoU of every defect class, (R,) each, by name such as dice/bent."""
    of_classes = {
        "dice": bootstrap.class_dice(record.counts, weights),
        "iou": bootstrap.class_iou(record.counts, weights),
    }
    return {
        f"{figure}/{name}": values[:, index]
        for figure, values in of_classes.items()
        for index, name in enumerate(record.classes)
        if index
    }
