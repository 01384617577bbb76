"""Fits the temperatures of a network on validation pictures, and measures what they change."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flexunet_exp.data import dataset as datasets
from flexunet_exp.data import masks
from flexunet_exp.data.dataset import Dataset, rows
from flexunet_exp.data.masks import IGNORE
from flexunet_exp.data.tiles import padded, starts
from flexunet_exp.evaluation.page import RELIABILITY
from flexunet_exp.models.weights_digest import weights_digest
from flexunet_exp.prediction import calibration, networks
from flexunet_exp.prediction.calibration import Calibration
from flexunet_exp.prediction.predictor import Ensemble, Predictor
from flexunet_exp.prediction.settings import PredictSettings
from flexunet_exp.reporting import plots
from flexunet_exp.runs.folder import TEMPERATURES, FinishedRun
from flexunet_exp.scores import reliability, temperature
from flexunet_exp.scores.temperature import Pixels

log = logging.getLogger(__name__)

PART = "valid"  # test pictures judge, and those of the calibration part choose thresholds
MOST_PIXELS = 2**18  # of the sample, over all pictures
MIN_SOURCES = 10  # that show a class, for a temperature of its own: as for intervals
NOTHING = (
    "Calibration    none: no validation picture shows a defect, on which temperatures are fitted."
)


class Piece(NamedTuple):
    """A picture, or a tile of one, as the network takes it."""

    source: str
    inputs: np.ndarray  # (h, w, N)
    truth: np.ndarray  # (h, w) uint8


def has_defects(dataset: Dataset) -> bool:
    """Whether a validation picture shows a defect."""
    return bool(dataset.split_pixels(PART)[1:].sum())


def calibrate(
    predictor: Predictor, settings: PredictSettings, dataset: Dataset, network: Path, folder: Path
) -> Calibration | None:
    """Fits temperatures of a `network`'s file, and keeps them in a run folder with a plot.

    Returns None, after a sentence in the log, where no validation picture shows a defect.
    """
    if not has_defects(dataset):
        log.info(NOTHING)
        return None
    pixels, sources = sample(predictor, dataset)
    groups = temperature.groups(sources, MIN_SOURCES)
    common = temperature.fit(pixels, [0] * dataset.num_classes)
    own = temperature.fit(pixels, groups) if any(groups) else common
    before, after = measured(predictor, own.astype(np.float32), dataset, PART)
    found = Calibration(
        weights_digest(network),
        list(dataset.class_names),
        own.round(6).tolist(),
        round(float(common[0]), 6),
        [name for name, group in zip(dataset.class_names, groups, strict=True) if group],
        fitted_on(dataset, pixels),
        settings.decisive(),
        *(figures(reliability.ece, one) for one in (before, after)),
        *(figures(reliability.nll, one) for one in (before, after)),
    )
    calibration.keep(found, folder)
    draw(before, after, folder / "evaluation")
    log.info("Calibration    %s", found.describe())
    return found


def fitted_on(dataset: Dataset, pixels: Pixels) -> dict[str, Any]:
    table = dataset.split(PART)
    return {
        "part": PART,
        "digest": dataset.split_digest(PART),
        "pictures": len(table),
        "sources": int(table["source"].nunique()),
        "pixels": len(pixels.truth),
    }


def figures(figure: Any, counted: np.ndarray) -> dict[str, float]:
    return {group: round(figure(counted, group), 6) for group in reliability.GROUPS}


def draw(before: np.ndarray, after: np.ndarray, folder: Path) -> None:
    """Draws the reliability of both into the figures of PART."""
    path = folder / PART / "figures" / f"{RELIABILITY}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    titles = {reliability.ALL: "all pixels", reliability.DEFECT: "truth or prediction a defect"}
    curves = {
        title: [reliability.curve(one, group) for one in (before, after)]
        for group, title in titles.items()
    }
    plots.reliability_figure(curves, path, title=PART)


def sample(predictor: Predictor, dataset: Dataset) -> tuple[Pixels, list[int]]:
    """A sample of the network's own output for validation pictures; the sources that show a class.

    Each picture or tile gives equally many pixels at most, half of them background, the others in
    equal shares of its defect classes. A pixel's weight is the number of pixels that it stands for,
    so that the weighted NLL is that of all pixels. The same pictures give the same sample.
    """
    samples = list(rows(dataset.split(PART)))
    quota = max(2, MOST_PIXELS // sum(number_of_pieces(predictor, one) for one in samples))
    draw = np.random.default_rng(0)
    seen: list[set[str]] = [set() for _ in dataset.class_names]
    parts = []
    for piece, logits in outputs(predictor, pieces(predictor, dataset, samples)):
        for index in np.unique(piece.truth[piece.truth != IGNORE]).tolist():
            seen[index].add(piece.source)
        parts.append(chosen(logits, piece.truth, quota, draw))
    pixels = Pixels(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    return pixels, [len(sources) for sources in seen]


def outputs(predictor: Predictor, found: Iterable[Piece]) -> Iterator[tuple[Piece, np.ndarray]]:
    """Each piece with its logits (h, w, C), predicted in batches."""
    rest = iter(found)
    while batch := list(itertools.islice(rest, predictor.batch_size)):
        logits = predictor.logits(np.stack([piece.inputs for piece in batch]))
        yield from zip(batch, logits, strict=True)


def pieces(predictor: Predictor, dataset: Dataset, samples: Sequence[Any]) -> Iterator[Piece]:
    """The pictures, or their tiles without overlap, as the network takes them."""
    for one in samples:
        image, truth = dataset.read(one)
        tile = predictor.tile or (image.shape[0], image.shape[1])
        for top, left in places(image.shape[:2], predictor.tile):
            part = slice(top, top + tile[0]), slice(left, left + tile[1])
            seen = predictor.prepared(padded(image[part], tile))
            known = np.full(tile, IGNORE, np.uint8)  # beyond the picture
            known[: truth[part].shape[0], : truth[part].shape[1]] = truth[part]
            yield Piece(one.source, seen, masks.resize_mask(known, predictor.size))


def number_of_pieces(predictor: Predictor, sample: Any) -> int:
    return len(places((sample.height, sample.width), predictor.tile))


def places(size: tuple[int, ...], tile: tuple[int, int] | None) -> list[tuple[int, int]]:
    """Where (top, left) the pieces of a picture of `size` (height, width) begin."""
    if tile is None:
        return [(0, 0)]
    lefts = starts(size[1], tile[1], 0)
    return [(top, left) for top in starts(size[0], tile[0], 0) for left in lefts]


def chosen(logits: np.ndarray, truth: np.ndarray, quota: int, draw: np.random.Generator) -> Pixels:
    """At most `quota` pixels of a piece: logits (n, C), classes and weights (n,)."""
    flat = truth.ravel()
    present = np.unique(flat[flat != IGNORE])
    shares = quota // 2, quota // 2 // max(1, int(np.count_nonzero(present)))
    picked, weights = [np.empty(0, np.intp)], [np.empty(0)]
    for index in present.tolist():
        of_class = np.flatnonzero(flat == index)
        number = min(len(of_class), max(1, shares[index > 0]))
        picked.append(draw.choice(of_class, number, replace=False, shuffle=False))
        weights.append(np.full(number, len(of_class) / number))
    at = np.concatenate(picked)
    return Pixels(logits.reshape(-1, logits.shape[-1])[at], flat[at], np.concatenate(weights))


def measured(
    predictor: Predictor, temperatures: np.ndarray, dataset: Dataset, split: str
) -> tuple[np.ndarray, np.ndarray]:
    """The reliability counts of a split's pictures, without temperatures (C,) and with them.

    At the pictures' own size; the network computes each picture once.
    """
    samples = list(rows(dataset.split(split)))
    once = predictor if predictor.kept else predictor.keeping()
    both = Ensemble([once.calibrated(None), once.calibrated(temperatures)])
    totals = np.zeros((2, len(reliability.GROUPS), 4, reliability.BINS))
    pictures = both.members(both.ready(dataset.read_image(one)) for one in samples)
    for bands, one in zip(pictures, samples, strict=True):
        truth = dataset.layout.read_mask(one)
        for pair in bands:
            for total, (top, probabilities) in zip(totals, pair, strict=True):
                total += reliability.counts(probabilities, truth[top : top + len(probabilities)])
    return totals[0], totals[1]


def fit_missing(runs: Sequence[FinishedRun], overrides: Mapping[str, Any]) -> list[FinishedRun]:
    """Fits and keeps the calibration of each run that has none; returns these runs.

    Raises InputError where a run's pictures have changed.
    """
    lacking = [run for run in runs if run.is_best and not calibration.has_any(run)]
    for run in lacking:
        log.info("%s has no %s yet: it is fitted now.", run.folder, TEMPERATURES)
        dataset = datasets.from_table(run.cfg, datasets.read_table(run.samples))
        datasets.check_unchanged(dataset)
        settings = PredictSettings.from_config(run.cfg, {**overrides, "calibrated": False})
        predictor = networks.predictor(networks.load_network(run, settings.precision), settings)
        found = calibrate(predictor, settings, dataset, run.network, run.folder)
        if found is not None:
            log.info("Kept in        %s", run.folder / TEMPERATURES)
    return [run for run in lacking if calibration.has_any(run)]
