"""python benchmarks/compare.py [RUNS]: flexunet compare over a store of generated runs, timed.

Cells of two seeds and five folds, in a real SQLite store with real files: 60 pictures in six
classes, the figures, parameters and tags of a training. Prints how long the store took to make,
the command's seconds (the whole process), and those of its parts.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import storing  # noqa: E402

from flexunet_exp.store import Store  # noqa: E402

SEEDS = 2
storing.FOLDS = 5


def fill(folder: Path, number: int) -> None:
    """Generated runs, each cell a little worse than the one before."""
    root = storing.make_pictures(folder / "data", per_class=10, good=10)
    store = Store(f"sqlite:///{folder}/mlruns/mlflow.db", "flexunet")
    parent = storing.parent_run(store, "generated")
    cells = list(itertools.product(("dice", "ce_dice", "focal", "tversky"), range(1, 10_000)))
    wanted = number // (SEEDS * storing.FOLDS)
    cells = [(loss, width) for loss, width in cells if width <= -(-wanted // 4)][:wanted]
    for place, (loss, width) in enumerate(cells):
        for seed, fold in itertools.product(range(SEEDS), range(storing.FOLDS)):
            words = [f"loss={loss}", f"model.base_filters={width}", f"trainer.seed={seed}"]
            storing.stored_run(
                store,
                root,
                [*words, f"split.fold={fold}"],
                quality=0.8 - 0.5 * place / wanted,
                parent=parent,
                keep="everything" if place < 20 else "no predictions",
            )
    store.client.set_terminated(parent, "FINISHED")


def command(folder: Path) -> tuple[float, str]:
    """Seconds of flexunet compare, its start included, and what it printed."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "flexunet_exp", "compare", "hydra.verbose=false"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "100"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - started, done.stdout


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with TemporaryDirectory() as name:
        folder = Path(name)
        started = time.perf_counter()
        fill(folder, number)
        print(f"{number} runs recorded in {time.perf_counter() - started:.0f} s")
        for _ in range(3):
            seconds, printed = command(folder)
            (cells,) = re.findall(r"(\d+) cells by", printed)
            print(f"flexunet compare: {cells} cells, {seconds:.1f} s (load {os.getloadavg()[0]:.1f})")
        print(printed)


if __name__ == "__main__":
    main()
