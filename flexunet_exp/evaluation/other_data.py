"""Scores networks on other pictures than their own: `flexunet evaluate run=RUN dataset=…`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf, open_dict

from flexunet_exp.config import compose, validation
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data import splits
from flexunet_exp.data.bit_depth import UNDECIDED
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.data.folders.folder_names import SPLITS, meaning
from flexunet_exp.data.scan_record import accepted
from flexunet_exp.errors import InputError
from flexunet_exp.evaluation.scoring import Part
from flexunet_exp.prediction import networks
from flexunet_exp.runs.folder import FinishedRun

log = logging.getLogger(__name__)


def is_given(cfg: DictConfig) -> bool:
    return OmegaConf.select(cfg, "dataset.name") is not None


def part(
    cfg: DictConfig, runs: Sequence[FinishedRun], predict: Mapping[str, Any], facts: dict[str, str]
) -> Part:
    """All networks together, with all pictures of the other data as one split.

    `predict` replaces `predict.*` of the runs.
    Adds the data's folder to `facts`, and the number of pictures that the networks already saw.
    """
    if len(runs) > 1 and not cfg.ensemble:
        raise InputError(
            f"run={cfg.run} names {len(runs)} runs. On other pictures, one network can be scored, "
            "or all of them together: name one run, or add ensemble=true"
        )
    dataset = load(cfg, runs[0])
    facts["pictures"] = str(cfg.dataset.path)
    if known := known_pictures(dataset, runs):
        facts["warning"] = f"{known} of {len(dataset.table)} pictures trained or chose the networks"
        log.warning("%s: their scores are too high.", facts["warning"])
    return Part(networks.load(runs, predict).predictor, dataset)


def load(cfg: DictConfig, run: FinishedRun) -> Dataset:
    """The other data as one split with the data's name, its pictures read as the run's.

    Raises InputError where its classes differ.
    """
    validation.check_targets(cfg, ("dataset",))
    expected = [entry["name"] for entry in run.cfg.dataset.classes]
    found = [entry["name"] for entry in cfg.dataset.classes]
    if found != expected:
        raise InputError(
            f"dataset={cfg.dataset.name} has the classes {', '.join(found)}; the network tells "
            f"apart {', '.join(expected)}. Choose data of the same classes in the same order."
        )
    bits = compose.bit_depth(run.cfg)
    with open_dict(cfg):
        cfg.dataset.channels = compose.channels(run.cfg)
    record = accepted(datasets.scan(cfg, datasets.folder_of(cfg), bits))
    dataset = datasets.of_scan(cfg, record)
    if bits != UNDECIDED:
        dataset = replace(dataset, bit_depth=bits)
    table = dataset.table if cfg.only is None else chosen(dataset.table, cfg.only)
    table = splits.with_merged_copies(table, log.warning)  # a name of its own for each picture
    return replace(dataset, table=table.assign(split=cfg.dataset.name), scan=None)


def chosen(table: pd.DataFrame, only: str) -> pd.DataFrame:
    part = table[table["split"] == (meaning(only, SPLITS) or only)].reset_index(drop=True)
    if part.empty:
        there_are = ", ".join(sorted(set(table["split"]) - {""})) or "none"
        raise InputError(f"only={only}: the data has no such folder. There are: {there_are}.")
    return part


def known_pictures(dataset: Dataset, runs: Sequence[FinishedRun]) -> int:
    """The number of pictures that a network was trained on or chosen by."""
    seen: set[str] = set()
    for run in runs:
        if run.samples.is_file():
            table = datasets.read_table(run.samples)
            seen |= set(table.loc[table["split"].isin(("train", "valid")), "sha256"])
    return int(dataset.table["sha256"].isin(seen).sum())
