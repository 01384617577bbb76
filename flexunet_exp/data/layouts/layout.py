"""What all layouts share: their two methods, and the good folders that dataset.good chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from flexunet_exp.data.channels import RGB, Channels
from flexunet_exp.data.known_files import KnownFiles
from flexunet_exp.data.scan_record import MaskFacts, NetworkView, ScanRecord
from flexunet_exp.data.splits import GOOD
from flexunet_exp.errors import InputError

# Folder of the defect-free pictures -> what their sources begin with, for each dataset.good.
GOOD_FOLDERS: dict[str, dict[str, str]] = {
    "none": {},
    "test": {"test": GOOD},
    "all": {"test": GOOD, "train": "train_good"},
}


class Layout:
    """The base class of the layouts."""

    def scan(
        self,
        folder: str | Path,
        view: NetworkView | None = None,
        channels: Channels = RGB,
        kept: KnownFiles | None = None,
    ) -> ScanRecord:
        """Reads all pairs of `folder`; their split is "" where the folder names none.

        With a `view`, the facts include fingerprints and defects. Pictures have `channels`. Files
        whose facts are `kept` are not read again. Raises InputError where the folder does not
        exist; the record has every other problem.
        """
        return self._scan(Path(folder).absolute(), view, channels, kept or KnownFiles())

    def _scan(
        self, folder: Path, view: NetworkView | None, channels: Channels, kept: KnownFiles
    ) -> ScanRecord:
        raise NotImplementedError


def known_good(good: str) -> str:
    """`good`; InputError where it is no choice of dataset.good."""
    if good not in GOOD_FOLDERS:
        raise InputError(f"dataset.good={good}: expected {', '.join(GOOD_FOLDERS)}.")
    return good


def known(argument: str, value: str, choices: Sequence[str]) -> str:
    """`value`; InputError where it is no choice of a layout's argument."""
    if value not in choices:
        raise InputError(f"dataset.layout.{argument}={value}: expected {', '.join(choices)}.")
    return value


def mask_shapes(
    rows: Sequence[Mapping], truths: Sequence[MaskFacts | None], left_out: set[str]
) -> list[tuple[int, ...] | None]:
    """The masks' (height, width); None where one could not be read, or its picture is left out."""
    return [
        truth.shape if truth and row["image"] not in left_out else None
        for row, truth in zip(rows, truths, strict=True)
    ]


def as_mapping(sample: Any) -> Mapping:
    """A row of the sample table (`itertuples`, or a Series) as a mapping."""
    # As an attribute, `mask` of a Series is a method.
    return sample._asdict() if hasattr(sample, "_asdict") else sample


def emptiness(table: pd.DataFrame, folder: Path) -> list[str]:
    """The problem of a table without a row."""
    if len(table):
        return []
    return [f"{folder}: no pictures found: another dataset.path=FOLDER, or another dataset.good?"]
