"""What a plan knows of the data set and of the machine."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flexunet_exp.data import card
from flexunet_exp.data.cache.features import SHARE_OF_DISK
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.data.splits import GOOD, SPLITS
from flexunet_exp.data.tiles import Size
from flexunet_exp.errors import InputError
from flexunet_exp.system import memory
from flexunet_exp.system.tensorflow import available_cores

SMALL = 5  # per cent of the defects are smaller than the small one that a plan looks at


@dataclass(frozen=True)
class Facts:
    """A data set: its pictures by split and by class, their shape, and its small defects."""

    pictures: Mapping[str, int]  # split → pictures
    classes: Mapping[str, int]  # defect class → pictures
    good: int  # pictures without a defect
    shape: Size  # (height, width) of the middle picture, by area
    small: float  # pixels of a picture of this shape: the area that 5 % of the defects are below

    @property
    def number(self) -> int:
        return sum(self.pictures.values())


@dataclass(frozen=True)
class Machine:
    """What this process may use."""

    cores: int
    memory: int  # bytes that are free
    disk: int  # bytes that features may take


def sources_of(dataset: Dataset) -> dict[str, int]:
    """Defect class → source pictures.

    Raises InputError where no mask shows a defect.
    """
    if not dataset.pixels[:, 1:].any():
        raise InputError(
            f"No mask of {dataset.name} shows a defect, and a plan is made for the smallest of "
            f"them. Look at the set first: flexunet check dataset={dataset.name}"
        )
    table = dataset.table[dataset.table["label"] != GOOD]
    counted = table.groupby("label")["source"].nunique()
    return {str(name): int(number) for name, number in counted.items()}


def of_data(dataset: Dataset) -> Facts:
    """The facts of a data set with its split, and its scan."""
    counted = card.counts(dataset)
    sizes = dataset.table.sort_values(["height", "width"])[["height", "width"]].to_numpy()
    sizes = sizes[np.argsort(sizes.prod(axis=1), kind="stable")]
    height, width = sizes[len(sizes) // 2].tolist()
    return Facts(
        {split: counted["all"][split]["images"] for split in SPLITS},
        {name: of["all"]["images"] for name, of in counted.items() if name not in (GOOD, "all")},
        counted[GOOD]["all"]["images"] if GOOD in counted else 0,
        (height, width),
        small_area(dataset, (height, width)),
    )


def small_area(dataset: Dataset, shape: Size) -> float:
    """The area that 5 % of the defects are below, as pixels of a picture of this shape."""
    assert dataset.scan is not None
    areas = [
        defect.area * np.prod(shape) / np.prod(defect.shape)
        for image in dataset.table["image"].unique()
        for defect in dataset.scan.defects(image)
    ]
    return float(np.percentile(areas, SMALL, method="lower"))


def of_machine(cache_dir: Path) -> Machine:
    """The machine, with the disk that the cache folder lies on."""
    there = next(folder for folder in (cache_dir, *cache_dir.parents) if folder.is_dir())
    disk = int(SHARE_OF_DISK * shutil.disk_usage(there).free)
    return Machine(available_cores(), memory.free(), disk)
