"""Scores networks over the splits of their data, at the masks' own size, and keeps the scores."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image
from rich.progress import track

from flexunet_exp.data import masks
from flexunet_exp.data.dataset import Dataset, rows, sample_name
from flexunet_exp.data.splits import CALIBRATION
from flexunet_exp.decisions.file import Decision
from flexunet_exp.decisions.rules import Rule
from flexunet_exp.errors import InputError
from flexunet_exp.evaluation import page, regions, results, terminal
from flexunet_exp.evaluation.settings import ScoreSettings
from flexunet_exp.prediction import uncertainty
from flexunet_exp.prediction.predictor import Band, Ensemble, Predictor
from flexunet_exp.prediction.uncertainty import NONE
from flexunet_exp.reporting import heat, nearest, panels
from flexunet_exp.scores import boundary, confusions, curves, objects, region_record
from flexunet_exp.scores import record as records
from flexunet_exp.scores.record import Record
from flexunet_exp.scores.region_record import RegionRecord
from flexunet_exp.scores.regions import find_regions, planes

log = logging.getLogger(__name__)

SCORED = {"valid": "val", "test": "test"}  # split → the prefix of its figures


class Part(NamedTuple):
    """A predictor, the data that it is scored on, and a decision's rule if there is one."""

    predictor: Predictor | Ensemble
    dataset: Dataset
    rule: Rule | None = None
    unsure: str = NONE  # the kind of the maps of uncertainty that are drawn


@dataclass(frozen=True)
class Scored:
    """A split's pictures and the records of their predictions, in one order."""

    samples: list[Any]
    record: Record
    regions: RegionRecord


class Look(NamedTuple):
    """A picture's prediction in the form that scores need."""

    mask: np.ndarray  # (H, W) uint8, the most probable class
    anomaly: np.ndarray  # (H, W) uint16, 1 - p(background), quantised
    seed_dice: float  # `confusions.dice_coef_multiclass`
    levels: np.ndarray  # (C - 1, H, W) uint8, the defect classes' probabilities, rounded


def score(
    parts: Iterable[Part],
    folder: Path,
    settings: ScoreSettings,
    title: str,
    facts: Mapping[str, str],
    splits: Mapping[str, str] = SCORED,
    with_calibration: bool = True,
    decision: Decision | None = None,
    unsure: str = NONE,
) -> dict[str, float]:
    """Scores each split into `folder`/<split>, pooled over the parts; prints and draws the result.

    `splits` maps a split to the prefix of its figures; `title` and `facts` head the report. A
    calibration part is not scored: only its regions are kept. The masks are those that remain under
    a `decision`, which the report then shows. The panels show the map of uncertainty that `unsure`
    names. Returns the figures by their tracked
    names, val/dice … test/dice/bent.
    """
    seen: dict[str, list[Scored]] = {}
    dataset = None
    rule = decision.rule if decision else None
    decided = None
    for part in (one._replace(rule=rule, unsure=unsure) for one in parts):
        dataset = dataset or part.dataset
        for split in splits:
            if len(part.dataset.split(split)):
                scored = predict_split(part, split, folder / split, settings.boundary_tolerance)
                seen.setdefault(split, []).append(scored)
        if with_calibration and len(part.dataset.split(CALIBRATION)):
            kept = regions.predicted(part, CALIBRATION)
            regions.write(kept, folder / CALIBRATION, settings.object_overlap, settings.resamples)
    if dataset is None or not seen:
        raise InputError(
            "No picture can be scored: there are no test pictures, and no validation pictures that "
            "all of these networks have in common. Score them on other pictures: dataset=NAME "
            "dataset.path=FOLDER"
        )
    evaluations = {}
    for split, scored_parts in seen.items():
        whole = pooled(scored_parts)
        overlap, resamples = settings.object_overlap, settings.resamples
        evaluations[split] = results.write_evaluation(
            folder / split, whole.record, overlap, resamples
        )
        regions.write(whole.regions, folder / split, overlap, resamples)
        draw_panels(dataset, whole, folder / split)
        if decision is not None:
            look = look_of(dataset, whole, folder / split)
            decided = page.decision(decision, whole.regions, dataset.palette, look)
    terminal.print_scores(evaluations)
    page.write(folder / page.REPORT, title, evaluations, folder, facts, decided)
    return {
        f"{splits[split]}/{name}": value
        for split, evaluation in evaluations.items()
        for name, value in evaluation.summary.items()
    }


def look_of(dataset: Dataset, scored: Scored, folder: Path) -> nearest.Look:
    """Reads a scored picture, its truth, and the mask that was predicted of it."""
    samples = {sample_name(sample): sample for sample in scored.samples}

    def look(name: str) -> tuple[np.ndarray, list[np.ndarray]]:
        image, truth = dataset.read(samples[name])
        return image, [truth, kept_mask(folder, name)]

    return look


def pooled(parts: Sequence[Scored]) -> Scored:
    samples = [sample for part in parts for sample in part.samples]
    return Scored(
        samples,
        records.pooled([part.record for part in parts]),
        region_record.pooled([part.regions for part in parts]),
    )


def predict_split(part: Part, split: str, folder: Path, tolerance: float) -> Scored:
    """Predicts every picture of a split once; keeps the masks in `folder`/predictions.

    Maps of uncertainty, if the part asks for them, go to `folder`/uncertainty.
    """
    predictor, dataset, rule, unsure = part
    uncertainty.check(unsure, predictor)
    samples = list(rows(dataset.split(split)))
    for kept in ("predictions", *(["uncertainty"] if unsure != NONE else [])):
        (folder / kept).mkdir(parents=True, exist_ok=True)
    ready = (predictor.ready(dataset.read_image(sample)) for sample in samples)
    predicted = zip(samples, uncertainty.predicted(predictor, ready, unsure), strict=True)
    observed = [
        observe(dataset, sample, bands, folder, tolerance, rule, unsure)
        for sample, bands in in_sight(predicted, f"scoring {split}", len(samples))
    ]
    counts, seed_dice, histograms, found, boundaries, seen_regions = zip(*observed, strict=True)
    images_seen = pd.DataFrame(
        [(sample_name(sample), sample.source, sample.label, sample.sha256) for sample in samples],
        columns=list(records.TEXT),
    )
    record = Record(
        images_seen,
        dataset.class_names,
        np.stack(counts),
        np.array(seed_dice),
        curves.collect(histograms),
        objects.object_table(entry for entries in found for entry in entries),
        np.stack(boundaries),
    )
    return Scored(samples, record, regions.record_of(dataset, samples, seen_regions))


def in_sight(items: Iterable[Any], title: str, total: int) -> Iterable[Any]:
    """The items; displays a bar on a terminal."""
    if not sys.stdout.isatty():
        return items
    return track(items, title, total, transient=True)


def observe(
    dataset: Dataset,
    sample: Any,
    measured: Iterable[tuple[Band, np.ndarray | None]],
    folder: Path,
    tolerance: float,
    rule: Rule | None = None,
    unsure: str = NONE,
) -> tuple[Any, ...]:
    """What is kept of one picture: counts, `seed_dice`, histogram, objects, boundaries, regions.

    `measured` are its bands with their uncertainty, whose map is written unless `unsure` is none.
    """
    name, truth = sample_name(sample), dataset.layout.read_mask(sample)
    drawn = None if unsure == NONE else np.empty(truth.shape, np.float32)
    mask, anomaly, seed_dice, levels = look(uncertainty.kept(measured, drawn), truth)
    if drawn is not None:
        heat.write(map_of(folder, name), drawn, uncertainty.ENDS[unsure])
    if rule is not None:
        mask = rule.mask(levels)
    masks.write_palette_mask(folder / "predictions" / f"{name}.png", mask, dataset.palette)
    return (
        confusions.confusion(truth, mask, dataset.num_classes),
        seed_dice,
        curves.score_histogram(anomaly, truth),
        objects.find_objects(name, truth, mask, dataset.class_names),
        boundary.boundary_counts(truth, mask, dataset.num_classes, tolerance),
        find_regions(levels, truth),
    )


def look(bands: Iterable[Band], truth: np.ndarray) -> Look:
    """A picture's prediction from its bands and its truth (H, W)."""
    mask, anomaly = np.empty(truth.shape, np.uint8), np.empty(truth.shape, np.uint16)
    overlap, levels = np.zeros(3), []
    for top, probabilities in bands:
        part = slice(top, top + len(probabilities))
        mask[part] = probabilities.argmax(axis=-1)
        anomaly[part] = curves.quantise(1 - probabilities[..., 0])
        overlap += confusions.soft_overlap(probabilities, truth[part])
        levels.append(planes(probabilities))
    return Look(mask, anomaly, confusions.soft_dice(overlap), np.concatenate(levels, axis=1))


def draw_panels(dataset: Dataset, scored: Scored, folder: Path) -> None:
    """Draws panels of chosen pictures: figures/<best|median|worst>.png and class_<name>.png."""
    record = scored.record
    chosen = results.pick_extremes(record.counts, record.names)
    for index, name in enumerate(record.classes[1:], start=1):
        chosen[f"class_{name}"] = results.pick_of_class(record.counts, record.names, index)
    for kind, indices in chosen.items():
        drawn = [
            draw_panel(dataset, scored.samples[index], record.names[index], folder)
            for index in indices
        ]
        if drawn:
            panels.write_png(folder / "figures" / f"{kind}.png", panels.contact_sheet(drawn))


def draw_panel(dataset: Dataset, sample: Any, name: str, folder: Path) -> np.ndarray:
    image, truth = dataset.read(sample)
    prediction, title = kept_mask(folder, name), f"{name} ({sample.split})"
    path = map_of(folder, name)
    more = {"uncertainty": np.asarray(Image.open(path).convert("RGB"))} if path.is_file() else None
    return panels.panel(
        image, truth, prediction, dataset.class_names, dataset.palette, title, more=more
    )


def map_of(folder: Path, name: str) -> Path:
    """Where the map of uncertainty of a picture is, if one was asked for."""
    return folder / "uncertainty" / f"{name}.png"


def kept_mask(folder: Path, name: str) -> np.ndarray:
    """The mask (H, W) that was predicted of a picture."""
    return np.asarray(Image.open(folder / "predictions" / f"{name}.png"))


def compare_with_stored(folder: Path, figures: dict[str, float]) -> None:
    """Logs whether the figures are equal to those that the run ended with."""
    stored = {
        f"{prefix}/{name}": value
        for split, prefix in SCORED.items()
        if (folder / split).is_dir()
        for name, value in results.read_summary(folder / split).items()
    }
    new = {name: figures.get(name, np.nan) for name in stored}
    other = [
        name
        for name, value in stored.items()
        if not np.isclose(new[name], value, rtol=1e-9, atol=1e-9, equal_nan=True)
    ]
    if not stored:
        log.warning("The run keeps no figures of its own to compare with.")
    elif other:
        shown = ", ".join(f"{name} {stored[name]:.4g} → {new[name]:.4g}" for name in other[:3])
        log.warning("The run ended with other figures: %d of %d, %s …", len(other), len(new), shown)
    else:
        log.info("These are the figures the run ended with.")
