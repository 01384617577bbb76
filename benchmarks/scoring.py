"""python benchmarks/scoring.py [IMAGES] [SIDE]: the costs of scoring a split, part by part.

Truth and scores are generated one image at a time, as an evaluation goes: 7 classes of defects on
two images of three, a false alarm here and there, noisy scores. Prints a table of seconds and of
megabytes by which the process's peak grew; a part that needs no more than one before it shows 0.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from flexunet_exp.scores import bootstrap, boundary, confusions, curves, objects, paired

CLASSES = ["background", *(f"defect {number}" for number in range(1, 8))]
RESAMPLES, TOLERANCE = 1000, 3
seconds: dict[str, float] = {}
growth: dict[str, float] = {}


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


@contextmanager
def part(name: str) -> Iterator[None]:
    before, started = peak_megabytes(), time.perf_counter()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started
    growth[name] = growth.get(name, 0.0) + peak_megabytes() - before


def blobs(draw: np.random.Generator, side: int, number: int) -> np.ndarray:
    """Up to `number` ellipses, each of some class: (side, side) uint8."""
    mask = np.zeros((side, side), np.uint8)
    for _ in range(number):
        centre = tuple(int(place) for place in draw.integers(0, side, 2))
        axes = tuple(int(radius) for radius in draw.integers(side // 200 + 1, side // 12 + 2, 2))
        index = int(draw.integers(1, len(CLASSES)))
        cv2.ellipse(mask, centre, axes, float(draw.uniform(0, 180)), 0, 360, index, -1)
    return mask


def generate(
    draw: np.random.Generator, side: int, defective: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, prediction and anomaly scores of an image, like those of a mediocre network."""
    truth = blobs(draw, side, int(draw.integers(1, 6)) if defective else 0)
    alarms = blobs(draw, side, int(draw.integers(0, 3)))
    shifted = np.roll(truth, (2, -3), axis=(0, 1))
    prediction = np.where(shifted > 0, shifted, alarms)
    logits = cv2.GaussianBlur((prediction > 0).astype(np.float32), (0, 0), side / 150) * 8 - 4
    anomaly = 1 / (1 + np.exp(-logits - draw.normal(0, 1.5, truth.shape).astype(np.float32)))
    truth[: side // 50] = 255
    return truth, prediction, anomaly


def score(images: int, side: int) -> None:
    draw = np.random.default_rng(0)
    names = [f"image {number}" for number in range(images)]
    defective = np.arange(images) % 3 > 0
    counts, outlines, found, collections = [], [], [], []
    for name, bad in zip(names, defective, strict=True):
        with part("(generating the images)"):
            truth, prediction, anomaly = generate(draw, side, bad)
        with part("confusion counts"):
            counts.append(confusions.confusion(truth, prediction, len(CLASSES)))
        with part("score histograms"):
            histogram = curves.score_histogram(curves.quantise(anomaly), truth)
            collections.append(curves.collect([histogram]))
        with part("objects"):
            found += objects.find_objects(name, truth, prediction, CLASSES)
        with part("boundaries"):
            outlines.append(boundary.boundary_counts(truth, prediction, len(CLASSES), TOLERANCE))
    with part("histograms to one collection"):
        histograms = curves.concatenate(collections)
        collections.clear()
    print(f"{histograms.negatives.nnz / images:,.0f} levels of an image's background occur")
    store(names, histograms)
    figures(names, defective, np.stack(counts), np.stack(outlines), found, histograms)


def store(names: list[str], histograms: curves.ScoreHistograms) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.npz"
        with part("storing histograms"):
            curves.save_histograms(path, names, histograms)
        print(f"{path.stat().st_size / 1e6:.1f} MB stored")
        with part("reading histograms"):
            curves.load_histograms(path)


def figures(names, defective, counts, outlines, found, histograms) -> None:
    """Every figure once, and those with an interval `RESAMPLES` times."""
    with part("all figures, once"):
        confusions.summary(counts, CLASSES)
        boundary.boundary_f1(outlines.sum(axis=0))
        curves.figures(histograms)
        curves.curve_points(histograms)
        table = objects.object_table(found)
        objects.object_figures(table, dict(zip(names, ~defective, strict=True)), CLASSES)
    with part(f"curves, {RESAMPLES} resamples"):
        weights = bootstrap.resampled(names, defective, RESAMPLES)
        curves.figures(curves.thinned(histograms), weights)
    with part(f"the rest, {RESAMPLES} resamples"):
        bootstrap.interval(bootstrap.macro_dice(counts, weights))
        bootstrap.interval(bootstrap.macro_iou(counts, weights))
        bootstrap.interval(bootstrap.defect_dice(counts, weights))
        boundary.boundary_f1(np.tensordot(weights, outlines, axes=1))
        objects.object_recall(objects.object_counts(table, names, CLASSES), weights)
        other = np.roll(counts, 1, axis=0)
        paired.paired_difference([paired.Part(counts[None], other[None], names, defective)])


def main() -> None:
    given = [int(word) for word in sys.argv[1:]]
    images, side = given + [300, 1024][len(given) :]
    before = peak_megabytes()
    score(images, side)
    print(f"\n{images} images of {side} x {side} pixels, {len(CLASSES)} classes\n")
    print(f"{'part':32} {'seconds':>8} {'ms/image':>9} {'peak MB':>8}")
    for name, took in seconds.items():
        print(f"{name:32} {took:8.2f} {took / images * 1000:9.1f} {growth[name]:8.0f}")
    scoring = sum(took for name, took in seconds.items() if not name.startswith("("))
    print(f"{'all but generating':32} {scoring:8.2f}")
    print(f"\npeak memory: {peak_megabytes():.0f} MB, {before:.0f} MB of it before the first image")


if __name__ == "__main__":
    main()
