"""The pictures that are reviewed: each predicted only by networks that did not train on it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

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


@dataclass(frozen=True)
class Reviewed:
    """The test pictures of groups of runs, each predicted once: its mask is kept in a folder."""

    groups: list[list[FinishedRun]]
    overrides: Mapping[str, Any]  # of `predict.*`
    names: list[str]  # of all pictures, one group after the other
    classes: list[str]  # background first
    folder: Path  # of the predicted masks

    def compared(self) -> list[Compared]:
        """The regions of each picture, in the order of the names."""
        return [compare(one.truth, levels, one.mask) for one, levels in self.predicted()]

    def looks(self, only: Collection[int]) -> Iterator[Look]:
        """The pictures of these numbers; those without a kept mask are predicted first."""
        if lacking := [number for number in only if not self.kept(number).is_file()]:
            for _ in self.predicted(lacking):
                pass
        number = 0
        for group in self.groups:
            dataset = parts.own_dataset(group[0])
            for sample in datasets.rows(dataset.split("test")):
                if number in only:
                    with Image.open(self.kept(number)) as mask:
                        truth = dataset.layout.read_mask(sample)
                        yield Look(number, sample, dataset, truth, np.array(mask))
                number += 1

    def kept(self, number: int) -> Path:
        """Where the mask that was predicted of a picture is kept."""
        return self.folder / f"{number}.png"

    def predicted(self, only: Collection[int] | None = None) -> Iterator[tuple[Look, np.ndarray]]:
        """The pictures, or `only` those of these numbers, one group after the other.

        Each with its rounded probabilities (C - 1, H, W) uint8.
        """
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
                mask, levels = collected(of)
                Image.fromarray(mask).save(self.kept(place))
                yield Look(place, sample, part.dataset, truth, mask), levels


def reviewed(runs: Sequence[FinishedRun], overrides: Mapping[str, Any], folder: Path) -> Reviewed:
    """The pictures that runs can review; masks are kept in `folder`, which is made.

    Raises InputError where there are none.
    """
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
    folder.mkdir()
    return Reviewed(groups, overrides, names, classes, folder)


def collected(bands: Iterator[Band]) -> tuple[np.ndarray, np.ndarray]:
    """The most probable class (H, W) and the rounded probabilities (C - 1, H, W) of a picture."""
    masks, levels = [], []
    for band in bands:
        masks.append(band.probabilities.argmax(axis=-1).astype(np.uint8))
        levels.append(planes(band.probabilities))
    return np.concatenate(masks), np.concatenate(levels, axis=1)
