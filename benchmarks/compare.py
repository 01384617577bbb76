"""python benchmarks/compare.py [RUNS]: flexunet compare over a store of generated runs, timed.

Cells of two seeds and five folds, in a real SQLite store with real files: 60 pictures in six
classes, the figures, parameters and tags of a training. Prints the seconds to make the store and
those of the command, with its start and the reading of all files of the leaders.
"""

from __future__ import annotations

import itertools
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from flexunet_exp.tracking.store import Store  # noqa: E402
from tests.support import storing  # noqa: E402

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
    store.end_run(parent, "FINISHED")


def command(folder: Path) -> tuple[float, float, str]:
    """Wall-clock (with the start) and processor seconds of flexunet compare, and its output."""
    started, before = time.perf_counter(), processor_seconds()
    done = subprocess.run(
        [sys.executable, "-m", "flexunet_exp", "compare"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "100"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - started, processor_seconds() - before, done.stdout


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with TemporaryDirectory() as name:
        folder = Path(name)
        started = time.perf_counter()
        fill(folder, number)
        print(f"{number} runs recorded in {time.perf_counter() - started:.0f} s")
        for _ in range(3):
            seconds, processor, printed = command(folder)
            (cells,) = re.findall(r"(\d+) cells by", printed)
            load = os.getloadavg()[0]
            print(f"{cells} cells: {seconds:.1f} s, processor {processor:.1f} s, load {load:.1f}")
        print(printed)


if __name__ == "__main__":
    main()
