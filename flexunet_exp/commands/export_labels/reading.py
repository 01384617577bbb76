"""The pictures and masks of a data set, by the folder of a made one or by its configuration."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from flexunet_exp.data import dataset
from flexunet_exp.data.annotations.records import Class
from flexunet_exp.data.annotations.writing import Sample
from flexunet_exp.data.layouts import ImageMask
from flexunet_exp.data.scan_record import accepted
from flexunet_exp.errors import InputError

RECORDS = ("imported.json", "prepared.json")


class Truths(NamedTuple):
    """The defect classes, and each picture with what reads its mask (H, W) uint8."""

    classes: tuple[Class, ...]
    samples: Sequence[tuple[Sample, Callable[[], np.ndarray]]]

    @property
    def files(self) -> list[Path]:
        return [sample.file for sample, _ in self.samples]


def of_folder(folder: Path) -> Truths:
    """A set that flexunet import or prepare made. Raises InputError with every problem."""
    folder = folder.expanduser().resolve()
    listed = classes_in(folder)
    layout = ImageMask(listed, good="all")
    record = accepted(layout.scan(folder))
    decided: dict[str, Any] = record.decisions
    layout = ImageMask(listed, good="all", **decided)
    palette = np.array([one["color"] for one in listed], np.uint8)
    return truths(record.table, layout, [str(one["name"]) for one in listed], palette)


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


def of_config(cfg: DictConfig) -> Truths:
    """A configured set, split as it is configured. Raises InputError with every problem."""
    data = dataset.load(cfg)
    return truths(data.table, data.layout, data.class_names, data.palette)


def truths(table: pd.DataFrame, layout: Any, names: Any, palette: np.ndarray) -> Truths:
    rows = list(table.itertuples())
    files = [Path(str(row.image)) for row in rows]
    samples = [
        (Sample(file, name, str(row.split)), partial(layout.read_mask, row))
        for row, file, name in zip(rows, files, distinct(files), strict=True)
    ]
    classes = [
        Class(name, tuple(colour)) for name, colour in zip(names, palette.tolist(), strict=True)
    ]
    return Truths(tuple(classes[1:]), samples)


def distinct(files: list[Path]) -> Iterator[str]:
    """A name for each file: its stem, with as many of its folders as tell it apart."""
    paths = [file.with_suffix("").parts for file in files]
    depths = range(1, max(map(len, paths), default=1) + 1)
    counts = {
        depth: Counter("_".join(parts[-depth:]).lower() for parts in paths) for depth in depths
    }
    for parts in paths:
        texts = ("_".join(parts[-depth:]) for depth in depths)
        yield next(
            text
            for depth, text in zip(depths, texts, strict=True)
            if counts[depth][text.lower()] == 1
        )
