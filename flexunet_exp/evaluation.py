"""Scores of a model over the splits of a data set, at the masks' native size, kept on disk."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from PIL import Image

from flexunet_exp import config, panels, predict, report, scores
from flexunet_exp.data import masks
from flexunet_exp.data.dataset import Dataset, rows, sample_name

log = logging.getLogger(__name__)

SCORED = {"valid": "val", "test": "test"}  # split → the prefix of its figures


def score_splits(model: Any, cfg: DictConfig, dataset: Dataset, folder: Path) -> dict[str, float]:
    """Scores validation and test at the masks' native size into `folder`/<split>, and prints them.

    Returns the figures under their tracked names, val/dice … test/dice/<class>.
    """
    figures: dict[str, float] = {}
    shown = {}
    for split, prefix in SCORED.items():
        if len(dataset.split(split)):
            summary = score_split(model, cfg, dataset, split, folder / split)
            figures |= {f"{prefix}/{name}": value for name, value in summary.items()}
            shown[split] = report.read_evaluation(folder / split)
    report.print_scores(shown)
    return figures


def score_split(
    model: Any, cfg: DictConfig, dataset: Dataset, split: str, folder: Path
) -> dict[str, float]:
    """Predicts every picture of a split once; keeps masks, counts, scores, figures in `folder`."""
    samples = list(rows(dataset.split(split)))
    names = [sample_name(sample) for sample in samples]
    (folder / "predictions").mkdir(parents=True, exist_ok=True)
    images = (masks.read_image(sample.image) for sample in samples)
    predicted = predict.probabilities(model, images, config.image_size(cfg), cfg.trainer.batch_size)
    counts, seed_dice = [], []
    for sample, name, classes in zip(samples, names, predicted, strict=True):
        truth, mask = dataset.layout.read_mask(sample), classes.argmax(-1).astype(np.uint8)
        counts.append(scores.confusion(truth, mask, dataset.num_classes))
        seed_dice.append(scores.dice_coef_multiclass(classes, truth))
        masks.write_palette_mask(folder / "predictions" / f"{name}.png", mask, dataset.palette)
    summary = report.write_evaluation(
        folder, names, np.stack(counts), np.array(seed_dice), dataset.class_names
    )
    draw_extremes(dataset, samples, np.stack(counts), folder)
    return summary


def draw_extremes(dataset: Dataset, samples: list[Any], counts: np.ndarray, folder: Path) -> None:
    """figures/<best|median|worst>.png: panels of the pictures that score so."""
    names = [sample_name(sample) for sample in samples]
    for kind, chosen in report.pick_extremes(counts, names).items():
        drawn = [draw_panel(dataset, samples[index], names[index], folder) for index in chosen]
        if drawn:
            panels.write_png(folder / "figures" / f"{kind}.png", panels.contact_sheet(drawn))


def draw_panel(dataset: Dataset, sample: Any, name: str, folder: Path) -> np.ndarray:
    image, truth = dataset.read(sample)
    prediction = np.asarray(Image.open(folder / "predictions" / f"{name}.png"))
    title = f"{name} ({sample.split})"
    return panels.panel(image, truth, prediction, dataset.class_names, dataset.palette, title)


def compare_with_stored(folder: Path, figures: dict[str, float]) -> None:
    """Says whether the figures are those the run ended with."""
    stored = {
        f"{prefix}/{name}": value
        for split, prefix in SCORED.items()
        if (folder / split).is_dir()
        for name, value in report.read_evaluation(folder / split)[0].items()
    }
    changes = {name: abs(figures.get(name, np.nan) - value) for name, value in stored.items()}
    largest = max((change for change in changes.values() if not np.isnan(change)), default=0.0)
    if stored and largest < 1e-9:
        log.info("These are the figures the run ended with.")
    elif stored:
        log.warning("The run ended with other figures: they differ by up to %.3g.", largest)
    else:
        log.warning("The run keeps no figures of its own to compare with.")
