"""python benchmarks/launchers.py [--rounds 3] [--cells 8]: a sweep in turn, and two cells at once.

The same short cells (SETTING below, one a seed) by launcher=basic with all cores for each cell, by
launcher=basic with one thread, and by launcher=joblib with two at once, in turn; each in a fresh
folder, with data that are there. Prints the seconds of whole commands, and the ratio of the
medians to the first. Ends with an error unless two at once give the scores of one thread to the
last digit, for each cell.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

SETTING = (
    *("dataset=screw", "dataset/layout=synthetic", "dataset.layout.size=64"),
    *("dataset.image_size=64", "dataset.layout.images_per_class=4", "model.base_filters=2"),
    *("model.base_kernel=3", "model.num_layers=3", "callbacks=none", "augmentation=none"),
    *("trainer.epochs=2", "trainer.deterministic=true"),
)
LAUNCHERS = {
    "one after the other": ("launcher=basic",),
    "one after the other, one thread": ("launcher=basic", "trainer.threads=1"),
    "two at once": ("launcher=joblib", "launcher.parallel=2", "launcher.cpus=1"),
}


def sweep(data: Path, words: tuple[str, ...], cells: int) -> tuple[float, list[str]]:
    """Seconds of a sweep in a fresh folder, and the scores of each cell as their file has them."""
    seeds = f"trainer.seed={','.join(map(str, range(1, cells + 1)))}"
    command = [sys.executable, "-m", "flexunet_exp", "train", "-m", *SETTING, *words, seeds]
    with tempfile.TemporaryDirectory(prefix="launchers_") as folder:
        started = time.perf_counter()
        done = subprocess.run(
            [*command, f"data_root={data}"], cwd=folder, capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - started
        if done.returncode:
            sys.exit(f"{words} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        (multirun,) = Path(folder).glob("outputs/multirun/*/*")
        return seconds, [scores(multirun / str(number)) for number in range(cells)]


def scores(run_folder: Path) -> str:
    """The confusion counts of every picture of a cell: all overlap scores are functions of them."""
    files = sorted(run_folder.glob("evaluation/*/images.csv"))
    assert files, f"{run_folder} has no scores"
    return "\n".join(file.read_text() for file in files)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cells", type=int, default=8)
    given = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in LAUNCHERS}
    found: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="launchers_data_") as folder:
        sweep(Path(folder), LAUNCHERS["one after the other"], 2)  # generates the data
        for _ in range(given.rounds):
            for name, words in LAUNCHERS.items():
                took, found[name] = sweep(Path(folder), words, given.cells)
                seconds[name].append(took)
    first = median(seconds["one after the other"])
    print("| | seconds | ratio |\n|---|---:|---:|")
    for name, each in seconds.items():
        print(f"| {name} | {', '.join(f'{s:.1f}' for s in each)} | {median(each) / first:.2f} |")
    if found["two at once"] != found["one after the other, one thread"]:
        sys.exit("Two at once gave other scores than one after the other with one thread.")
    print(f"The scores of the {given.cells} cells are equal to those of one thread.")


if __name__ == "__main__":
    main()
