"""A data set read whole, however much of it is broken: what is there, what is wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import pandas as pd
from omegaconf import DictConfig

from flexunet_exp.config import compose
from flexunet_exp.data import card as datacard
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data import splits
from flexunet_exp.data.card import Card
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.data.pairing import Survey
from flexunet_exp.data.scan_record import Notes
from flexunet_exp.errors import InputError


class Examined(NamedTuple):
    card: Card  # with `errors`, what training refuses, and `warnings`, what it would go on with
    dataset: Dataset  # of the pictures that can be read
    notes: Notes


def examine(cfg: DictConfig) -> Examined:
    """Reads every picture and mask, splits what can be read, and makes the card of it.

    Raises InputError only where there is no such folder.
    """
    notes = Notes(compose.image_size(cfg), compose.patch_size(cfg))
    unread = datasets.from_table(cfg, pd.DataFrame())
    with heard() as warnings:
        survey = unread.layout.survey(datasets.folder_of(cfg), notes)
        errors = list(survey.problems)
        readable = survey.table[survey.readable].reset_index(drop=True)
        dataset = divided(cfg, replace(unread, table=readable, notes=notes), errors)
    card = datacard.build(cfg, dataset, notes, cfg.small_defect)
    card["off_palette"]["colours"] = colours(cfg, dataset, survey)
    card["unreadable"] = int((~survey.readable).sum())
    card["errors"] = errors
    card["warnings"] = [*warnings, *card["warnings"]]
    return Examined(card, dataset, notes)


def divided(cfg: DictConfig, unsplit: Dataset, errors: list[str]) -> Dataset:
    """The data set with its split; as the folders have it, and an error, where that fails."""
    dataset = unsplit
    if dataset.table.empty:
        return dataset
    try:
        dataset = replace(dataset, table=datasets.divided(cfg, dataset.table))
        splits.check(dataset.table, dataset.pixels, dataset.class_names)
    except InputError as error:
        errors += error.problems
    return dataset


def colours(cfg: DictConfig, dataset: Dataset, survey: Survey) -> Card:
    """The colours of masks that are none of the classes', also of masks refused for them."""
    if "off_palette" not in dataset.recipe or dataset.notes is None:
        return {"number": 0, "most_frequent": {}}
    odd = dataset.notes.odd
    paths = [
        row.mask
        for row, is_readable in zip(datasets.rows(survey.table), survey.readable, strict=True)
        if row.mask and (odd.get(row.image) or not is_readable)
    ]
    return datacard.odd_colours(paths, dataset.palette)


@contextmanager
def heard() -> Iterator[list[str]]:
    """Collects what the reading of data warns of, in place of saying it at once."""
    messages: list[str] = []
    logger = logging.getLogger("flexunet_exp.data")
    listener = Listener(messages)
    logger.addHandler(listener)
    logger.propagate = False
    try:
        yield messages
    finally:
        logger.propagate = True
        logger.removeHandler(listener)


class Listener(logging.Handler):
    def __init__(self, messages: list[str]):
        super().__init__(logging.WARNING)
        self.messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
