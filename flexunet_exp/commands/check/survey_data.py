"""Reads a whole data set, even a damaged one, and collects its figures and problems."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from omegaconf import DictConfig

from flexunet_exp.commands.check import mending
from flexunet_exp.config import compose
from flexunet_exp.data import card as datacard
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data import splits
from flexunet_exp.data.card import Card
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.data.layouts import ImageMask
from flexunet_exp.data.scan_record import Findings, NetworkView, ScanRecord
from flexunet_exp.errors import InputError


class Examined(NamedTuple):
    """`card` has `errors`, which training refuses, and `warnings`, which training only logs."""

    card: Card
    dataset: Dataset  # of the pictures that can be read
    scan: ScanRecord
    view: NetworkView


def examine(cfg: DictConfig) -> Examined:
    """Reads every picture and mask, splits what can be read, and makes the card of it.

    Raises InputError only if the folder does not exist.
    """
    view = datasets.network_view(cfg)
    scan = datasets.scan(cfg, datasets.folder_of(cfg), compose.bit_depth(cfg), view)
    unread = datasets.of_scan(cfg, scan)
    findings = Findings(list(scan.problems), list(scan.warnings))
    readable = scan.table[scan.readable].reset_index(drop=True)
    dataset = divided(cfg, replace(unread, table=readable, scan=scan), findings)
    card = datacard.build(cfg, dataset, scan, cfg.small_defect)
    card["off_palette"]["colours"] = colours(dataset, scan)
    card["unreadable"] = int((~scan.readable).sum())
    card["errors"] = findings.problems
    card["warnings"] = [*findings.warnings, *card["warnings"]]
    card["notes"] = scan.notes
    card["mends"] = mending.yaml_lines(cfg, [*findings.problems, *findings.warnings])
    return Examined(card, dataset, scan, view)


def divided(cfg: DictConfig, unsplit: Dataset, findings: Findings) -> Dataset:
    """The data set with its split; if that fails, with the folders' split and a problem more."""
    dataset, warnings = unsplit, findings.warnings
    if dataset.table.empty:
        return dataset
    try:
        dataset = replace(dataset, table=datasets.divided(cfg, dataset.table, warnings.append))
        warnings += splits.check(dataset.table, dataset.pixels, dataset.class_names)
    except InputError as error:
        findings.problems += error.problems
    return dataset


def colours(dataset: Dataset, scan: ScanRecord) -> Card:
    """The colours in masks that belong to no class, also in masks that are refused for them.

    They are in the order of the files' channels.
    """
    if not isinstance(dataset.layout, ImageMask):
        return {"number": 0, "most_frequent": {}}
    paths = [
        row.mask
        for row, is_readable in zip(datasets.rows(scan.table), scan.readable, strict=True)
        if row.mask and (scan.off_palette(row.image) or not is_readable)
    ]
    return datacard.odd_colours(paths, dataset.layout.reading.palette)
