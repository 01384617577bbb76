"""python benchmarks/launchers.py [--pairs 3] [--cells 8]: a sweep, one cell after the other or two.

The same short cells (SETTING below, one a seed) by launcher=basic, and by launcher=joblib with two
at once, in turn; each in a fresh folder, with data that are there. Prints the seconds of the whole
commands, their ratio, and whether the scores of each cell are equal.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

SETTING = (
    *("dataset=grid", "dataset/layout=synthetic", "dataset.layout.size=128"),
    *("dataset.image_size=128", "dataset.layout.images_per_class=8", "model.num_layers=4"),
    *("model.base_filters=8", "trainer.epochs=2"),
)
LAUNCHERS = {
    "one after the other": ("launcher=basic", "trainer.threads=1"),
    "two at once": ("launcher=joblib", "launcher.parallel=2"),
}
SAME = ("test/dice", "test/iou")  # beginnings of the columns that are compared


def sweep(data: Path, words: tuple[str, ...], cells: int) -> tuple[float, list[dict[str, str]]]:
    """Seconds of a sweep in a fresh folder, and its table of cells."""
    seeds = f"trainer.seed={','.join(map(str, range(1, cells + 1)))}"
    with tempfile.TemporaryDirectory(prefix="launchers_") as folder:
        command = [sys.executable, "-m", "flexunet_exp", "train", "-m", *SETTING, *words, seeds]
        started = time.perf_counter()
        done = subprocess.run(
            [*command, f"data_root={data}", "trainer.deterministic=true"],
            cwd=folder,
            env=os.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - started
        if done.returncode:
            sys.exit(f"{words} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        (table,) = Path(folder).glob("outputs/multirun/*/*/cells.csv")
        return seconds, list(csv.DictReader(table.open()))
