"""The regions that a decision is chosen on, shown on, and learnt from."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from flexunet_exp.data import dataset as datasets
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.data.splits import CALIBRATION
from flexunet_exp.decisions.file import ESTIMATE, GUARANTEE
from flexunet_exp.errors import InputError
from flexunet_exp.evaluation import folds
from flexunet_exp.evaluation.settings import ScoreSettings
from flexunet_exp.prediction import calibration, networks
from flexunet_exp.prediction.settings import PredictSettings
from flexunet_exp.runs.folder import FinishedRun
from flexunet_exp.scores import region_record
from flexunet_exp.scores.region_record import REGIONS, RegionRecord

log = logging.getLogger(__name__)


# What a part of the split is called, and what `decide` needs it for.
WHAT_FOR = {
    "valid": ("validation", "on which the least area of regions is learnt"),
    "test": ("test", "on which folds choose thresholds"),
    CALIBRATION: ("calibration", "on which thresholds are chosen"),
}


class Evidence(NamedTuple):
    """What a decision is chosen from."""

    kind: str  # guarantee or estimate
    part: str  # the part of the split that thresholds are chosen on
    digest: str  # of the pictures of this part
    chosen_on: RegionRecord
    learnt_on: RegionRecord  # validation pictures
    test: RegionRecord | None  # shows what to expect; None where it is what is chosen on
    palette: np.ndarray  # (C, 3) uint8 RGB
    pictures: dict[str, tuple[Dataset, Any]]  # of `chosen_on`, by name: where and how to read them


def of_runs(runs: Sequence[FinishedRun], is_calibrated: bool = False) -> Evidence:
    """The evidence of a run with a calibration part, or of the folds of one split.

    It is of calibrated probabilities, or of those without temperatures. Raises InputError for other
    runs, or where temperatures are lacking.
    """
    if files := [str(run.network) for run in runs if not run.samples.is_file()]:
        raise InputError(
            f"{', '.join(files)}: a network's file has no pictures to choose on. Name a run: its "
            "folder, or its id."
        )
    networks.temperatures_of(runs, is_calibrated)
    if len(runs) == 1:
        return of_run(runs[0], is_calibrated)
    check_folds(runs)
    pictures = pd.concat([pictures_of(run, "test") for run in runs])
    test, valid = (
        region_record.pooled([regions_of(run, part, is_calibrated) for run in runs])
        for part in ("test", "valid")
    )
    shown = {name: one for run in runs for name, one in readable(run, "test").items()}
    palette = palette_of(runs[0])
    return Evidence(ESTIMATE, "test", digest(pictures), test, valid, None, palette, shown)


def of_run(run: FinishedRun, is_calibrated: bool) -> Evidence:
    pictures = pictures_of(run, CALIBRATION)
    if pictures.empty:
        raise InputError(
            f"{run.folder} has no calibration part, and thresholds that are chosen on pictures "
            "that chose or tested the network hold for nothing else. Train it with "
            "split.calibration=0.2, or train folds (flexunet train -m sweep=folds …) and name "
            "their multirun, which gives an estimate."
        )
    has_test = not pictures_of(run, "test").empty
    return Evidence(
        GUARANTEE,
        CALIBRATION,
        digest(pictures),
        regions_of(run, CALIBRATION, is_calibrated),
        regions_of(run, "valid", is_calibrated),
        regions_of(run, "test", is_calibrated) if has_test else None,
        palette_of(run),
        readable(run, CALIBRATION),
    )


def readable(run: FinishedRun, split: str) -> dict[str, tuple[Dataset, Any]]:
    """The pictures of a split by name, with the data set that reads them."""
    dataset = datasets.from_table(run.cfg, datasets.read_table(run.samples))
    samples = datasets.rows(dataset.split(split))
    return {datasets.sample_name(sample): (dataset, sample) for sample in samples}


def palette_of(run: FinishedRun) -> np.ndarray:
    return np.array([entry.color for entry in run.cfg.dataset.classes], np.uint8)


def check_folds(runs: Sequence[FinishedRun]) -> None:
    """Raises InputError unless each run tests other pictures, as folds do."""
    if len({folds.test_pictures(run) for run in runs}) < len(runs):
        raise InputError(
            f"run= names {len(runs)} runs, some of which test the same pictures, so they are not "
            "the folds of one split. Name the folds alone, or one run with a calibration part."
        )
    folds.groups(runs, ensemble=False)
    if lacking := folds.missing_folds(runs):
        log.warning("Chosen %s.", lacking)


def pictures_of(run: FinishedRun, split: str) -> pd.DataFrame:
    table = folds.table_of(run)
    return table[table["split"] == split]


def digest(pictures: pd.DataFrame) -> str:
    """Hash (16 hex digits) of the sources and contents of pictures."""
    lines = sorted(f"{row.source}\t{row.sha256}" for row in datasets.rows(pictures))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def regions_of(run: FinishedRun, split: str, is_calibrated: bool = False) -> RegionRecord:
    """What is kept of a split's predictions; predicted once more, and kept, if it is not there.

    Raises InputError where the pictures have changed since.
    """
    if pictures_of(run, split).empty:
        raise InputError(
            f"{run.folder} has no {WHAT_FOR[split][0]} pictures, {WHAT_FOR[split][1]}. Train it "
            "again with a split that has some, such as split=folds"
        )
    folder = place(run, split, is_calibrated)
    if (folder / REGIONS).is_file():
        record = region_record.load(folder / REGIONS)
        if sorted(record.names.tolist()) == sorted(folds.names_in(run, split)):
            return record
    log.info(
        "%s: the regions of %s are not there yet, so it is predicted again.", run.folder, split
    )
    from flexunet_exp.evaluation import regions, scoring

    networks.prepare_process(run)
    dataset = datasets.from_table(run.cfg, datasets.read_table(run.samples))
    datasets.check_unchanged(dataset)
    trained = networks.load([run], {"calibrated": is_calibrated})
    record = regions.predicted(scoring.Part(trained.predictor, dataset), split)
    score = ScoreSettings.from_config(run.cfg)
    regions.write(record, folder, score.object_overlap, score.resamples)
    return record


def place(run: FinishedRun, split: str, is_calibrated: bool) -> Path:
    """Where the regions of a split are kept: those that the run was scored with, or others."""
    folder = run.folder / "evaluation" / split
    if PredictSettings.from_config(run.cfg).calibrated == is_calibrated:
        return folder
    if not is_calibrated:
        return folder / "uncalibrated"
    return folder / f"calibrated_{calibration.digest([run])}"
