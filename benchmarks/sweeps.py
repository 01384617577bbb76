"""What a sweep costs beyond its trainings, and what several at once save. Part of `make bench`."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from statistics import median

import compare
import dry
from whole import ROOT, Row, python

GRID = (
    *("dataset=grid", "dataset/layout=synthetic", "dataset.layout.size=128"),
    *("dataset.image_size=128", "dataset.layout.images_per_class=8", "model.num_layers=4"),
    *("model.base_filters=8", "trainer.epochs=3"),
)
CELLS = 6
WANTED = 2.5  # seconds a cell beyond its training
RUNS = 1000


def at_once() -> list[Row]:
    """Four trainings of grid at 128 px (3 epochs) as a sweep: two at once by launcher=joblib, each
    with half of the cores, against one after the other with all of them. Starts included."""
    took = {}
    with tempfile.TemporaryDirectory() as folder:
        grid = (*GRID, f"data_root={folder}/data")
        train = ("-m", "flexunet_exp", "train")
        python(Path(folder) / "drawn", *train, *grid, "dry=true")
        for launcher in ("basic", "joblib"):
            started = time.perf_counter()
            words = ("-m", *grid, f"launcher={launcher}", "trainer.seed=range(4)")
            python(Path(folder) / launcher, *train, *words)
            took[launcher] = time.perf_counter() - started
    one, two = took["basic"], took["joblib"]
    label = "four trainings, two at once (joblib)"
    return [(label, f"{two:.0f} s", f"{one:.0f} s: one after the other", f"{two / one:.2f}")]


def between_cells() -> list[Row]:
    """Seconds a cell of a sweep beyond model.fit and the scoring, in a process that has had one
    already: data, network, run folder, store, stored model. Medians of five cells."""
    with tempfile.TemporaryDirectory() as folder:
        text, _ = python(
            Path(folder) / "work",
            str(ROOT / "benchmarks" / "between.py"),
            str(CELLS),
            *GRID,
            f"data_root={folder}/data",
        )
    cells = json.loads(text.splitlines()[-1])
    rest = median(cell["whole"] - cell["fit"] - cell["score"] for cell in cells)
    fit, score = (median(cell[name] for cell in cells) for name in ("fit", "score"))
    beside = f"{WANTED} s: wanted (model.fit {fit:.1f} s, scoring {score:.1f} s)"
    return [("a cell beyond its training", f"{rest:.1f} s", beside, f"{rest / WANTED:.2f}")]


def comparing() -> list[Row]:
    """`flexunet compare` over a store of 1,000 generated runs, the whole command; wanted: at most
    10 s."""
    with tempfile.TemporaryDirectory() as folder:
        compare.fill(Path(folder), RUNS)
        took = min(compare.command(Path(folder))[0] for _ in range(2))
    return [(f"compare over {RUNS:,} runs", f"{took:.1f} s", "10 s: wanted", f"{took / 10:.2f}")]


def planning() -> list[Row]:
    """`dry=true` for a sweep of 504 cells whose store holds every second one; wanted: at most
    10 s."""
    with tempfile.TemporaryDirectory() as folder:
        dry.fill(Path(folder), dry.SEEDS)
        took = min(dry.seconds(Path(folder), *dry.sweep(Path(folder), dry.SEEDS))[0] for _ in "ab")
    return [("dry=true for 504 cells", f"{took:.1f} s", "10 s: wanted", f"{took / 10:.2f}")]


SECTIONS = [at_once, between_cells, comparing, planning]
