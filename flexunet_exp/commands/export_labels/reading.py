"""The pictures and masks of a data set, by the folder of a made one or by its configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from flexunet_exp.data import dataset
from flexunet_exp.data.annotations.records import Class
from flexunet_exp.data.annotations.writing import Sample
from flexunet_exp.data.annotations.writing.naming import classes_of, distinct
from flexunet_exp.data.layouts import ImageMask
from flexunet_exp.data.scan_record import accepted
from flexunet_exp.errors import InputError

RECORDS = ("imported.json", "prepared.json")


@dataclass(frozen=True)
class Labels:
    """The pictures that are written, and their masks, which can be taken once."""

    classes: tuple[Class, ...]  # of values 1, 2 …
    samples: Sequence[Sample]
    masks: Iterator[tuple[Sample, np.ndarray]]  # (H, W) uint8; without those of refused pictures
    refused: list[str] = field(default_factory=list)  # why; complete when all masks are taken


def of_folder(folder: Path) -> Labels:
    """A set that flexunet import or prepare made. Raises InputError with every problem.

    Masks that look like complements were accepted when the set was made.
    """
    folder = folder.expanduser().resolve()
    listed = classes_in(folder)
    layout = ImageMask(listed, good="all", inverted="accept")
    record = accepted(layout.scan(folder))
    decided: dict[str, Any] = record.decisions
    layout = ImageMask(listed, good="all", inverted="accept", **decided)
    palette = np.array([one["color"] for one in listed], np.uint8)
    return of_table(record.table, layout, [str(one["name"]) for one in listed], palette)


def classes_in(folder: Path) -> list[dict[str, Any]]:
    """{name, color} of each class, background first, as the record in the folder says."""
    for name in RECORDS:
        if (path := folder / name).is_file():
            try:
                said = json.loads(path.read_text("utf-8"))
                listed = said.get("classes") or said["settings"]["layout"]["classes"]
                return [{"name": one["name"], "color": one["color"]} for one in listed]
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InputError(
                    f"{path}: it does not say the classes. Give dataset=NAME in place of input"
                ) from error
    raise InputError(
        f"input={folder}: has neither {' nor '.join(RECORDS)}, which say the classes. Give the "
        "folder of a set that flexunet import made, or dataset=NAME"
    )


def of_config(cfg: DictConfig) -> Labels:
    """A configured set, split as it is configured. Raises InputError with every problem."""
    data = dataset.load(cfg)
    return of_table(data.table, data.layout, data.class_names, data.palette)


def of_table(table: pd.DataFrame, layout: Any, names: Sequence[str], palette: np.ndarray) -> Labels:
    rows = list(table.itertuples())
    samples = samples_of(rows)
    masks = ((sample, layout.read_mask(row)) for sample, row in zip(samples, rows, strict=True))
    return Labels(classes_of(names, palette), samples, masks)


def samples_of(rows: Sequence[Any]) -> list[Sample]:
    """The pictures of a sample table's rows, in their order."""
    files = [Path(str(row.image)) for row in rows]
    return [
        Sample(file, name, str(row.split))
        for row, file, name in zip(rows, files, distinct(files), strict=True)
    ]
