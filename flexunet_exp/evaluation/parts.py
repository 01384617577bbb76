"""The networks of finished runs, each with the pictures that it was made with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flexunet_exp.config import validation
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.evaluation.scoring import Part
from flexunet_exp.prediction import networks
from flexunet_exp.runs.folder import FinishedRun


def own_parts(
    groups: Sequence[Sequence[FinishedRun]], overrides: Mapping[str, Any]
) -> Iterator[Part]:
    """Each group's networks with its pictures, loaded one group after the other.

    `overrides` replace `predict.*` of the runs. Raises InputError where pictures have changed.
    """
    for group in groups:
        dataset = own_dataset(group[0])
        datasets.check_unchanged(dataset)
        yield Part(networks.load(group, overrides).predictor, dataset)


def own_dataset(run: FinishedRun) -> Dataset:
    """The pictures that a run was made with, as its sample table lists them."""
    validation.check_targets(run.cfg, ("dataset",))
    return datasets.from_table(run.cfg, datasets.read_table(run.samples))
