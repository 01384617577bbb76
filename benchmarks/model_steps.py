"""What the programs that measure a training step by model and size share."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from flexunet_exp.models import fused_norm


def step_seconds(model, size: int, batch: int, steps: int, uncounted: int) -> float:
    """The median seconds of `steps` training steps on random pictures, after `uncounted` ones.

    The compiled model computes its normalisations as a training does.
    """
    fused_norm.fuse(model)
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    masks = (draw.random((batch, size, size)) < 0.03).astype(np.uint8)
    times = []
    for _ in range(steps + uncounted):
        started = time.perf_counter()
        model.train_on_batch(images, masks)
        times.append(time.perf_counter() - started)
    return median(times[uncounted:])


def timed_gradients(both: Callable[[Any], Iterable[Any]], maps: Any) -> Callable[[], float]:
    """Measures seconds of a traced pass forwards and backwards, which returns gradients."""

    def seconds() -> float:
        started = time.perf_counter()
        for gradient in both(maps):
            gradient.numpy()
        return time.perf_counter() - started

    seconds()  # traced
    return seconds


def rows_of(path: Path) -> set[tuple[str, str]]:
    """Model and size of the rows that a table has."""
    if not path.exists():
        return set()
    with open(path, newline="") as file:
        return {(row["model"], row["size"]) for row in csv.DictReader(file)}


def keep(path: Path, columns: Sequence[str], rows: Iterable[dict]) -> None:
    """Appends rows to a table, and prints them."""
    is_new, rows = not path.exists(), list(rows)
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows(rows)
    print(*rows, sep="\n", flush=True)
