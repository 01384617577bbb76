"""Keeps the regions of a split's pictures above each threshold, from which `decide` chooses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flexunet_exp.data.dataset import Dataset, rows, sample_name
from flexunet_exp.decisions import curves
from flexunet_exp.decisions.rules import Shape
from flexunet_exp.prediction.predictor import Band
from flexunet_exp.scores import region_record, regions
from flexunet_exp.scores.region_record import REGIONS, RegionRecord
from flexunet_exp.system.files import write_table

if TYPE_CHECKING:
    from flexunet_exp.evaluation.scoring import Part

FREE_RESPONSE = "free_response.csv"


def collected(bands: Iterable[Band]) -> np.ndarray:
    """The rounded probabilities (C - 1, H, W) uint8 of a picture."""
    return np.concatenate([regions.planes(band.probabilities) for band in bands], axis=1)


def record_of(
    dataset: Dataset, samples: Sequence[Any], found: Sequence[regions.PictureRegions]
) -> RegionRecord:
    """The record of samples and their regions, in one order."""
    names = [sample_name(sample) for sample in samples]
    sources = [sample.source for sample in samples]
    return region_record.of_pictures(names, sources, dataset.class_names, found)


def predicted(part: Part, split: str) -> RegionRecord:
    """Predicts every picture of a split for its regions alone."""
    predictor, dataset = part.predictor, part.dataset
    samples = list(rows(dataset.split(split)))
    bands = predictor(dataset.read_image(sample) for sample in samples)
    found = [
        regions.find_regions(collected(one), dataset.layout.read_mask(sample))
        for one, sample in zip(bands, samples, strict=True)
    ]
    return record_of(dataset, samples, found)


def write(record: RegionRecord, folder: Path, overlap: float, resamples: int) -> None:
    """Writes regions.npz and free_response.csv into the folder of a split."""
    folder.mkdir(parents=True, exist_ok=True)
    region_record.save(record, folder / REGIONS)
    shapes = dict.fromkeys(record.classes[1:], Shape())
    write_table(folder / FREE_RESPONSE, curves.free_response(record, shapes, overlap, resamples))
