"""Which split each picture of an import comes into: that of the export, or by its source."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from flexunet_exp.commands.import_.choices import stem_of
from flexunet_exp.data import splits
from flexunet_exp.data.annotations.records import Labelled
from flexunet_exp.data.splits import GOOD, SPLITS
from flexunet_exp.errors import InputError
from flexunet_exp.system.parallel import in_threads

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Item:
    """A picture with its place in the set."""

    picture: Labelled
    name: str  # of its files, without suffix
    source: str
    split: str


def dealt_out(pictures: Sequence[Labelled], names: Sequence[str], cfg: DictConfig) -> list[Item]:
    """Each picture's source and split."""
    table = pd.DataFrame(
        {
            "source": sources_of(pictures, names, cfg.group),
            "variant": "original",
            "split": [one.split for one in pictures],
        }
    )
    threads = cfg.workers or os.cpu_count() or 1
    if (cfg.splits or usual(pictures)) == "by_source":
        table["label"] = labels_of(pictures, threads)
        table = splits.ratios(table, list(cfg.ratios), cfg.seed)
    else:
        table = as_given(pictures, table, cfg, threads)
    rows = zip(pictures, names, table["source"], table["split"], strict=True)
    return [Item(*row) for row in rows]


def usual(pictures: Sequence[Labelled]) -> str:
    """The way to split that is taken where none is given: as_given where it can train."""
    if not any(one.split for one in pictures):
        return "by_source"
    if any(main_label(one) != GOOD for one in pictures if one.split == "train"):
        return "as_given"
    log.info(
        "The train part of the export shows no defect, so that no network can be trained on it: "
        "splits=by_source. The export's own is in manifest.csv, column given_split."
    )
    return "by_source"


def as_given(
    pictures: Sequence[Labelled], table: pd.DataFrame, cfg: DictConfig, threads: int
) -> pd.DataFrame:
    """The export's own split; without pictures to validate, a share of its train part does."""
    if lacking := [one.name for one in pictures if one.split not in SPLITS]:
        raise InputError(
            f"splits=as_given: {len(lacking)} pictures are in no split of the export, such as "
            f"{lacking[0]}. Give splits=by_source"
        )
    train, valid = list(cfg.ratios)[:2]
    if (table["split"] == "valid").any() or not valid:
        return table
    is_train = table["split"] == "train"
    share = valid / (train + valid)
    of_train = [one for one in pictures if one.split == "train"]
    labelled = table[is_train].assign(label=labels_of(of_train, threads))
    dealt = splits.ratios(labelled, [1 - share, share, 0], cfg.seed)
    table.loc[is_train, "split"] = dealt["split"]
    log.info(
        "The export has no valid part: %d of its %d train pictures validate (ratios=).",
        (dealt["split"] == "valid").sum(),
        is_train.sum(),
    )
    return table


def sources_of(pictures: Sequence[Labelled], names: Sequence[str], group: str | None) -> list[str]:
    """The physical part that each picture shows: by `group`, else by the format, else its own."""
    found = []
    unmatched = []
    for one, name in zip(pictures, names, strict=True):
        if group is None:
            found.append(one.source or name)
            continue
        fit = re.search(group, stem_of(one.name).as_posix())
        if fit is None or fit[1] is None:
            unmatched.append(one.name)
        else:
            found.append(fit[1])
    if unmatched:
        raise InputError(
            f"group={group!r} does not fit {len(unmatched)} pictures, such as {unmatched[0]}"
        )
    return found


def labels_of(pictures: Sequence[Labelled], threads: int) -> list[str]:
    """The main label of each picture, by which splits are alike. Reads masks that are there."""
    return [*in_threads(main_label, pictures, threads, 4 * threads)]


def main_label(picture: Labelled) -> str:
    """The label of most objects, or of most pixels in masks that are there; GOOD without one."""
    if picture.label:
        return picture.label
    objects = picture.objects or next(iter(picture.by.values()), ())
    counts = Counter(one.label for one in objects)
    if not counts:
        for stored in picture.masks:
            try:
                numbers = np.bincount(stored.read().ravel(), minlength=256)
            except InputError:  # it is reported where the mask is made
                continue
            for number, label in enumerate(stored.labels, start=1):
                counts[label] += int(numbers[number])
    counts = +counts
    return min(counts, key=lambda label: (-counts[label], label)) if counts else GOOD
