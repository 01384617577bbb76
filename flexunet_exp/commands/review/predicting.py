"""The pictures that are reviewed: each predicted only by networks that did not train on it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from flexunet_exp.config import compose
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.errors import InputError
from flexunet_exp.evaluation import folds, parts
from flexunet_exp.labels.compared import Compared, compare
from flexunet_exp.prediction import networks
from flexunet_exp.prediction.predictor import Band
from flexunet_exp.runs.folder import FinishedRun
from flexunet_exp.scores.regions import planes

log = logging.getLogger(__name__)


class Look(NamedTuple):
    """A picture with its truth and its prediction."""

    number: int  # its place among the names
    sample: Any  # the row of the sample table
    dataset: Dataset
    truth: np.ndarray  # (H, W) uint8
    mask: np.ndarray  # (H, W) uint8, the most probable class
    levels: np.ndarray  # (C - 1, H, W) uint8, rounded probabilities


@dataclass(frozen=True)
class Reviewed:
    """The test pictures of groups of runs."""

    groups: list[list[FinishedRun]]
    overrides: Mapping[str, Any]  # of `predict.*`
    names: list[str]  # of all pictures, one group after the other
    classes: list[str]  # background first

    def compared(self) -> list[Compared]:
        """The regions of each picture, in the order of the names."""
        return [compare(one.truth, one.levels, one.mask) for one in self.looks()]

    def looks(self, only: Collection[int] | None = None) -> Iterator[Look]:
        """The pictures, or `only` those of these numbers, predicted one group after the other."""
        number = 0
        for part in parts.own_parts(self.groups, self.overrides):
            samples = list(datasets.rows(part.dataset.split("test")))
            places = range(number, number + len(samples))
            number += len(samples)
            wanted = [
                (place, sample)
                for place, sample in zip(places, samples, strict=True)
                if only is None or place in only
            ]
            bands = part.predictor(part.dataset.read_image(sample) for _, sample in wanted)
            for (place, sample), of in zip(wanted, bands, strict=True):
                truth = part.dataset.layout.read_mask(sample)
                yield Look(place, sample, part.dataset, truth, *collected(of))


def reviewed(runs: Sequence[FinishedRun], overrides: Mapping[str, Any]) -> Reviewed:
    """The pictures that runs can review. Raises InputError where they have none."""
    networks.check_classes(runs)
    groups = folds.groups(runs, ensemble=True)
    names = [name for group in groups for name in folds.names_in(group[0], "test")]
    if not names:
        raise InputError(
            f"{runs[0].folder} has no test pictures, and labels are doubted only by networks that "
            "did not train on them. Train folds (flexunet train -m sweep=folds …) and name their "
            "multirun."
        )
    if len(groups) == 1:
        log.warning(
            "Only the %d test pictures are reviewed: the network trained on the others. Train "
            "folds (flexunet train -m sweep=folds …) to review all.",
            len(names),
        )
    elif lacking := folds.missing_folds(runs):
        log.warning("Reviewed %s.", lacking)
    networks.prepare_process(runs[0])
    classes = [one["name"] for one in compose.plain(runs[0].cfg.dataset.classes)]
    return Reviewed(groups, overrides, names, classes)


def collected(bands: Iterator[Band]) -> tuple[np.ndarray, np.ndarray]:
    """The most probable class (H, W) and the rounded probabilities (C - 1, H, W) of a picture."""
    masks, levels = [], []
    for band in bands:
        masks.append(band.probabilities.argmax(axis=-1).astype(np.uint8))
        levels.append(planes(band.probabilities))
    return np.concatenate(masks), np.concatenate(levels, axis=1)
