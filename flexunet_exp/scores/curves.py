"""Threshold-free figures from anomaly scores, s = 1 - p(background), kept as histograms.

An image becomes counts over the 65,536 levels of its quantised scores. Every curve of any set of
images follows exactly from these counts. Ignored pixels are not counted. A figure without positives
or without negatives is undefined: NaN.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from scipy import sparse

from flexunet_exp.data.masks import IGNORE
from flexunet_exp.errors import InputError
from flexunet_exp.scores.confusions import ratio
from flexunet_exp.system.files import whole_or_nothing

LEVELS = 1 << 16
Figure = float | np.ndarray  # a float, or (R,) of R resamples
_BLOCK = 1 << 20  # levels x resamples held at a time


class ScoreHistogram(NamedTuple):
    """One image's pixels by quantised score, over those K scores that occur."""

    values: np.ndarray  # (K,) uint16, ascending
    negatives: np.ndarray  # (K,) int64, pixels of background
    positives: np.ndarray  # (K,) int64, pixels of any defect
    overlap: np.ndarray  # (K,) float64, sum over defects of the share of their pixels
    components: int  # number of defects: 8-connected, whatever their classes
    highest: int  # -1 where every pixel is ignored


class ScoreHistograms(NamedTuple):
    """The histograms of N images: rows of sparse counts, `overlap` where `positives` are."""

    negatives: sparse.csr_array  # (N, 65536) int32
    positives: sparse.csr_array  # (N, 65536) int32
    overlap: sparse.csr_array  # (N, 65536) float64
    components: np.ndarray  # (N,) int64


class StoredHistograms(NamedTuple):
    """The stored histograms of an evaluation, and the names of the images in their order."""

    names: np.ndarray  # (N,) str
    histograms: ScoreHistograms


class CurvePoints(NamedTuple):
    """Curves to plot, (P,) each, from the highest threshold to the lowest."""

    fpr: np.ndarray  # from 0 to 1
    pro: np.ndarray  # mean share of a defect that is found, from 0 to 1
    recall: np.ndarray  # from 0 to 1, the true positive rate
    precision: np.ndarray  # 1 where nothing is predicted yet


def quantise(anomaly: np.ndarray) -> np.ndarray:
    """Scores 0..1 as uint16, 65535 for 1. Raises ValueError for NaN, which has no rank."""
    # float16 could not hold 65535.
    scaled = np.multiply(anomaly, LEVELS - 1, dtype=np.result_type(anomaly, np.float32))
    if np.isnan(scaled).any():
        raise ValueError("the anomaly scores hold NaN")
    return np.clip(np.rint(scaled), 0, LEVELS - 1).astype(np.uint16)


def score_histogram(quantised: np.ndarray, truth: np.ndarray) -> ScoreHistogram:
    """The histogram of an image from its scores (H, W) uint16 and its truth (H, W) uint8."""
    if quantised.shape != truth.shape:
        raise ValueError(f"truth has shape {truth.shape}, the scores {quantised.shape}")
    defect = (truth != 0) & (truth != IGNORE)
    number, labels = cv2.connectedComponents(defect.view(np.uint8), connectivity=8)
    scores, component = quantised[defect], labels[defect]
    share = 1 / np.bincount(component, minlength=number).clip(min=1)
    negatives = np.bincount(quantised[truth == 0], minlength=LEVELS)
    positives = np.bincount(scores, minlength=LEVELS)
    overlap = np.bincount(scores, weights=share[component], minlength=LEVELS)
    values = np.flatnonzero(negatives + positives)
    return ScoreHistogram(
        values=values.astype(np.uint16),
        negatives=negatives[values],
        positives=positives[values],
        overlap=overlap[values],
        components=number - 1,
        highest=int(values[-1]) if len(values) else -1,
    )


def collect(images: Iterable[ScoreHistogram]) -> ScoreHistograms:
    """The collection of the images' histograms; takes one image at a time and makes it sparse.

    An image of ignored pixels alone has an empty row.
    """
    return concatenate([_of_one(image) for image in images])


def concatenate(collections: Sequence[ScoreHistograms]) -> ScoreHistograms:
    """All images of several collections, in order."""
    return ScoreHistograms(
        negatives=_stack([one.negatives for one in collections], np.int32),
        positives=_stack([one.positives for one in collections], np.int32),
        overlap=_stack([one.overlap for one in collections], np.float64),
        components=np.concatenate(
            [np.zeros(0, np.int64), *(one.components for one in collections)]
        ),
    )


def highest(histograms: ScoreHistograms) -> np.ndarray:
    """The largest quantised score of each image (N,) int64, -1 where every pixel is ignored."""
    return np.maximum(_last_level(histograms.negatives), _last_level(histograms.positives))


def figures(
    histograms: ScoreHistograms, weights: np.ndarray | None = None, limit: float = 0.3
) -> dict[str, Figure]:
    """The figures of `pixel_auroc average_precision au_pro image_auroc`, in one pass."""
    names = ("pixel_auroc", "average_precision", "au_pro")
    areas = zip(names, _areas(histograms, _rows(histograms, weights), limit), strict=True)
    pixels = {name: _given(values, weights) for name, values in areas}
    return pixels | {"image_auroc": image_auroc(histograms, weights)}


def thinned(histograms: ScoreHistograms, levels: int = 2000) -> ScoreHistograms:
    """The histograms over about `levels` levels: neighbouring levels of few pixels are merged.

    The figures of a thousand resamples then take a tenth of the time. Merged levels count as ties,
    an error far below the spread of the resamples. The new levels are not scores.
    """
    kept = (histograms.negatives, histograms.positives, histograms.overlap)
    mass = sum(one.sum(axis=0) / max(one.sum(), 1) for one in kept)
    level = np.floor(np.cumsum(mass) / max(mass.sum(), 1e-9) * levels).astype(np.int32)

    def merged(one: sparse.csr_array) -> sparse.csr_array:
        content = one.data.copy(), level[one.indices], one.indptr.copy()
        rows = sparse.csr_array(content, one.shape)
        rows.sum_duplicates()
        return rows

    negatives, positives, overlap = map(merged, kept)
    return ScoreHistograms(negatives, positives, overlap, histograms.components)


def pixel_auroc(histograms: ScoreHistograms, weights: np.ndarray | None = None) -> Figure:
    """Area under the ROC curve over pixels, defect against background, ties counted half.

    `weights` (R, N) say how often each image counts in each of R resamples, for a result (R,).
    """
    return _given(_areas(histograms, _rows(histograms, weights))[0], weights)


def average_precision(histograms: ScoreHistograms, weights: np.ndarray | None = None) -> Figure:
    """Mean precision over pixels, weighted by the gain in recall, as scikit-learn defines it."""
    return _given(_areas(histograms, _rows(histograms, weights))[1], weights)


def au_pro(
    histograms: ScoreHistograms, weights: np.ndarray | None = None, limit: float = 0.3
) -> Figure:
    """Area under the per-region overlap over the false positive rates 0..`limit`, over `limit`.

    As the evaluation code of MVTec AD has it (Bergmann et al., IJCV 2021): the share of a defect
    above the threshold, averaged over all defects of all images, against the false positive rate
    over all their background, from (0, 0) on, linear between the thresholds that occur.
    """
    return _given(_areas(histograms, _rows(histograms, weights), limit)[2], weights)


def image_auroc(histograms: ScoreHistograms, weights: np.ndarray | None = None) -> Figure:
    """Area under the ROC curve over images, defective against good, scored by their highest score.

    An image of ignored pixels alone does not count.
    """
    return pixel_auroc(_images_as_pixels(histograms), weights)


def curve_points(histograms: ScoreHistograms, points: int = 2000) -> CurvePoints:
    """The curves over all images, at about `points` points, spread evenly along the curves."""
    one = np.ones((1, len(histograms.components)))
    false, true, overlap = (column[:, 0] for column in next(_walk(histograms, one)))
    precision = ratio(true, true + false)
    precision[0] = 1
    curves = CurvePoints(
        fpr=ratio(false, false[-1:].repeat(len(false))),
        pro=ratio(overlap, overlap[-1:].repeat(len(overlap))),
        recall=ratio(true, true[-1:].repeat(len(true))),
        precision=precision,
    )
    return CurvePoints(*(curve[_spread(curves, points)] for curve in curves))


def save_histograms(path: Path, names: Sequence[str], histograms: ScoreHistograms) -> None:
    """Store histograms as `.npz` without pickle; a reader never sees half a file."""
    negatives, positives, overlap, components = histograms
    stored = _Arrays(
        names=np.array(names, dtype=np.str_),
        components=components,
        negative_starts=negatives.indptr,
        negative_values=negatives.indices.astype(np.uint16),
        negatives=negatives.data,
        positive_starts=positives.indptr,
        positive_values=positives.indices.astype(np.uint16),
        positives=positives.data,
        overlap=overlap.data,
    )
    with whole_or_nothing(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **stored._asdict())


def load_histograms(path: Path) -> StoredHistograms:
    """Read what `save_histograms` wrote. Raises InputError where the file is missing or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return _restored(_Arrays(*(archive[field] for field in _Arrays._fields)))
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no such file, expected the score histograms of an evaluation: "
            "score the run with `flexunet evaluate run=RUN`."
        ) from error
    except (OSError, ValueError, KeyError, EOFError, TypeError, *_ZIP_ERRORS) as error:
        raise InputError(
            f"{path}: damaged or no file of score histograms, expected the arrays "
            f"{', '.join(_Arrays._fields)}: score the run again with `flexunet evaluate run=RUN`."
        ) from error


_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error)


class _Arrays(NamedTuple):
    """A file's content; `starts` say where in the other arrays each image begins."""

    names: np.ndarray
    components: np.ndarray
    negative_starts: np.ndarray
    negative_values: np.ndarray
    negatives: np.ndarray
    positive_starts: np.ndarray
    positive_values: np.ndarray
    positives: np.ndarray
    overlap: np.ndarray


def _restored(stored: _Arrays) -> StoredHistograms:
    images = len(stored.names)
    if stored.components.shape != (images,):
        raise ValueError("other numbers of names and of images")

    def rows(data: np.ndarray, values: np.ndarray, starts: np.ndarray) -> sparse.csr_array:
        held = sparse.csr_array((data, values.astype(np.int32), starts), shape=(images, LEVELS))
        held.check_format(full_check=True)
        return held

    positive = stored.positive_values, stored.positive_starts
    return StoredHistograms(
        names=stored.names,
        histograms=ScoreHistograms(
            negatives=rows(stored.negatives, stored.negative_values, stored.negative_starts),
            positives=rows(stored.positives, *positive),
            overlap=rows(stored.overlap, *positive),
            components=stored.components,
        ),
    )


def _of_one(image: ScoreHistogram) -> ScoreHistograms:
    def row(counts: np.ndarray, kept: np.ndarray, dtype: type) -> sparse.csr_array:
        values = image.values[kept].astype(np.int32)
        content = counts[kept].astype(dtype), values, np.array([0, len(values)])
        return sparse.csr_array(content, shape=(1, LEVELS))

    return ScoreHistograms(
        negatives=row(image.negatives, image.negatives > 0, np.int32),
        positives=row(image.positives, image.positives > 0, np.int32),
        overlap=row(image.overlap, image.positives > 0, np.float64),
        components=np.array([image.components]),
    )


def _stack(rows: list[sparse.csr_array], dtype: type) -> sparse.csr_array:
    # With the empty array, a stack of no rows is valid.
    return sparse.vstack([sparse.csr_array((0, LEVELS), dtype=dtype), *rows], format="csr")


def _last_level(rows: sparse.csr_array) -> np.ndarray:
    """The last column each row holds, -1 for an empty row."""
    levels = np.full(rows.shape[0], -1, np.int64)
    held = np.diff(rows.indptr) > 0
    levels[held] = rows.indices[rows.indptr[1:][held] - 1]
    return levels


def _images_as_pixels(histograms: ScoreHistograms) -> ScoreHistograms:
    """A collection of as many images, each the one pixel that has its highest score."""
    level = highest(histograms)
    defective = np.diff(histograms.positives.indptr) > 0

    def rows(held: np.ndarray) -> sparse.csr_array:
        starts = np.concatenate([[0], np.cumsum(held)])
        ones = np.ones(held.sum(), np.int32)
        return sparse.csr_array((ones, level[held], starts), shape=(len(level), LEVELS))

    good, bad = rows((level >= 0) & ~defective), rows(defective)
    return ScoreHistograms(good, bad, bad.astype(np.float64), defective.astype(np.int64))


def _rows(histograms: ScoreHistograms, weights: np.ndarray | None) -> np.ndarray:
    """The weights (R, N), a single row of ones where there are none."""
    return np.ones((1, len(histograms.components))) if weights is None else np.asarray(weights)


def _given(values: np.ndarray, weights: np.ndarray | None) -> Figure:
    return float(values[0]) if weights is None else values


def _walk(
    histograms: ScoreHistograms, weights: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """False positives, true positives and overlap from the highest score that occurs downwards.

    They come in blocks of B levels, (B + 1, R) each: row 0 is the last row of the block before, at
    first zeros. There is always at least one block.
    """
    stacked = histograms[:3]
    levels = np.flatnonzero(sum(np.bincount(one.indices, minlength=LEVELS) for one in stacked))
    # Columns by level, so that a block of levels is found without a search in every image.
    counts = [one.tocsc() for one in stacked]
    turned = np.ascontiguousarray(weights.T, dtype=np.float64)
    size = max(1, _BLOCK // max(1, turned.shape[1]))
    so_far = [np.zeros(turned.shape[1])] * len(counts)
    for start in range(0, max(1, len(levels)), size):
        falling = levels[::-1][start : start + size]
        block = [one[:, falling].T @ turned for one in counts]
        sums = [np.cumsum(np.vstack(both), axis=0) for both in zip(so_far, block, strict=True)]
        yield sums[0], sums[1], sums[2]
        so_far = [one[-1] for one in sums]


def _areas(
    histograms: ScoreHistograms, weights: np.ndarray, limit: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """AUROC, average precision and AU-PRO up to `limit` of every resample, (R,) each."""
    negatives = weights @ histograms.negatives.sum(axis=1)
    positives = weights @ histograms.positives.sum(axis=1)
    components = weights @ histograms.components
    room = limit * negatives
    roc, precision, pro = np.zeros((3, len(weights)))
    for false, true, overlap in _walk(histograms, weights):
        roc += _under(true, np.diff(false, axis=0), np.diff(false, axis=0))
        gained, found = np.diff(true, axis=0), true[1:]
        # Without a pixel above the threshold, `gained` is 0 too.
        precision += (gained * found / np.maximum(found + false[1:], 1)).sum(axis=0)
        pro += _under(overlap, np.diff(false, axis=0), np.diff(np.minimum(false, room), axis=0))
    defined = (negatives > 0) & (positives > 0)
    totals = negatives * positives, positives, room * components
    roc, precision, pro = (
        np.where(defined, ratio(area, total).clip(0, 1), np.nan)
        for area, total in zip((roc, precision, pro), totals, strict=True)
    )
    return roc, precision, pro


def _under(height: np.ndarray, width: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Area (R,) under straight lines between B + 1 heights, over the first `kept` of each width."""
    share = np.divide(kept, width, out=np.zeros_like(width), where=width > 0)
    return (kept * (height[:-1] + share * np.diff(height, axis=0) / 2)).sum(axis=0)


def _spread(curves: CurvePoints, points: int) -> np.ndarray:
    """Indices of at most `points` + 1 points, both ends among them, at even steps along."""
    steps = sum(np.abs(np.diff(np.nan_to_num(curve))) for curve in curves)
    travelled = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.searchsorted(travelled, np.linspace(0, travelled[-1], points))
    return np.unique(
        np.concatenate([[0], wanted, [len(travelled) - 1]]).clip(0, len(travelled) - 1)
    )
