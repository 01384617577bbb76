"""python benchmarks/builds.py BEFORE AFTER [CASE …] [--pairs 15]: two builds, side by side.

BEFORE and AFTER are checkouts, each with its own .venv; one without is run by this Python. Every
case runs in both builds alternately, in folders that the build itself filled. Prints a Markdown
table: the medians of both in seconds and the ratio after / before (geometric mean of the pairs)
with its 95 % interval (Student's t on the logarithms), of wall-clock and of processor time. --json
FILE keeps every measurement.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from scipy import stats

TINY = (
    *("dataset=screw", "dataset/layout=synthetic", "model.base_filters=2", "model.base_kernel=3"),
    *("model.num_layers=3", "callbacks=none", "augmentation=none", "trainer.epochs=2"),
    *("dataset.image_size=64", "dataset.layout.size=64", "dataset.layout.images_per_class=4"),
)
CELL = (
    *("dataset=grid", "dataset/layout=synthetic", "dataset.layout.size=128"),
    *("dataset.image_size=128", "dataset.layout.images_per_class=8", "model.num_layers=4"),
    *("model.base_filters=8", "trainer.epochs=2"),
)
CELLS = 4
SMALL = (
    *("dataset/layout=synthetic", "model=flexunet_small", "augmentation=flips", "schedule=cosine"),
    *("dataset.image_size=128", "dataset.cache=memory", "dataset.layout.images_per_class=20"),
    *("dataset.layout.good_images=20", "trainer.batch_size=8"),
)
# A callback of the person's own, which ends the process at the end of the first training step.
FIRST_STEP = """
import os
import keras

class FirstStep(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        os._exit(0)
"""
SEEDS = itertools.count(1)
Seconds = tuple[float, float]  # of the wall clock, of the processor


@dataclass(frozen=True)
class Build:
    checkout: Path
    home: Path  # where its commands run, one folder a case

    def run(self, folder: str, *words: str, python: Sequence[str] = ()) -> tuple[Seconds, str]:
        """Runs `flexunet words…`, or a Python command of the build, and times it."""
        own = self.checkout / ".venv" / "bin" / "python"
        command = [
            str(own) if own.exists() else sys.executable,
            *(python or ("-m", "flexunet_exp")),
            *words,
        ]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(self.checkout), str(self.home)]),
            "FLEXUNET_TRUSTED": "first_step",
        }
        (self.home / folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile("w+") as printed:
            started = time.perf_counter()
            process = subprocess.Popen(
                command, cwd=self.home / folder, env=environment, stdout=printed, stderr=printed
            )
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - started
            printed.seek(0)
            text = printed.read()
        if status:
            sys.exit(f"{command} failed in {self.home / folder}:\n{text[-3000:]}")
        return (wall, usage.ru_utime + usage.ru_stime), text

    def fill(self, folder: str, module: str, number: int) -> None:
        """Fills the folder of a case by `fill` of the build's own benchmark."""
        code = f"import {module}; from pathlib import Path; {module}.fill(Path('.'), {number})"
        benchmarks = str(self.checkout / "benchmarks")
        self.run(folder, python=("-c", f"import sys; sys.path.insert(0, {benchmarks!r}); {code}"))


def show_help(build: Build) -> Seconds:
    return build.run("help", "train", "--help")[0]


def show_config(build: Build) -> Seconds:
    return build.run("help", "train", "--cfg", "job")[0]


def tiny_training(build: Build) -> Seconds:
    words = ("train", *TINY, f"data_root={build.home}/data")
    return build.run("tiny", *words, f"trainer.seed={next(SEEDS)}")[0]


def first_step(build: Build) -> Seconds:
    """From the command to the end of the first training step of a small network, store included.

    The store is there, with the parent of a sweep in it; every run has a seed of its own.
    """
    own = "+callbacks.first_step._target_=first_step.FirstStep"
    words = (*SMALL, f"data_root={build.home}/data")
    if not (build.home / "first" / "mlruns").exists():
        build.run("first", "train", "-m", *TINY, words[-1], "trainer.seed=0")
    return build.run("first", "train", *words, own, f"trainer.seed={next(SEEDS)}")[0]


def quickstart(build: Build) -> Seconds:
    """From the command to the end of the first training step of experiment=quickstart.

    Data and features are there from the second run on; every run is a new one of the same seed.
    """
    own = "+callbacks.first_step._target_=first_step.FirstStep"
    words = ("experiment=quickstart", f"data_root={build.home}/data", own)
    shutil.rmtree(build.home / "quickstart" / "outputs", ignore_errors=True)
    return build.run("quickstart", "train", *words)[0]


def sweep_cell(build: Build) -> Seconds:
    """A cell of a sweep beyond model.fit and the scoring: the median of all but the first."""
    script = str(build.checkout / "benchmarks" / "between.py")
    words = (str(CELLS), *CELL, f"data_root={build.home}/data", "rerun=all")
    (_, processor), text = build.run("cells", *words, python=(script,))
    cells = json.loads(text.splitlines()[-1])
    return median(one["whole"] - one["fit"] - one["score"] for one in cells), processor


def compare_1000(build: Build) -> Seconds:
    return build.run("compare", "compare")[0]


def dry_504(build: Build) -> Seconds:
    axes = (
        "model=attention_unet,flexunet,flexunet_small",
        "loss=ce_dice,cross_entropy,dice,focal,focal_tversky,lovasz_softmax,tversky",
        "trainer.seed=range(24)",
    )
    data = ("dataset=grid", "dataset/layout=synthetic", "data_root=data")
    return build.run("dry", "train", "-m", *axes, *data, "dry=true")[0]


CASES: dict[str, Callable[[Build], Seconds]] = {
    "help": show_help,
    "cfg": show_config,
    "first_step": first_step,
    "quickstart": quickstart,
    "tiny": tiny_training,
    "dry": dry_504,
    "compare": compare_1000,
    "cell": sweep_cell,
}
FILLED = {"compare": ("compare", 1000), "dry": ("dry", 24)}  # case: benchmark, its number


def ratio(pairs: np.ndarray) -> str:
    """`0.93 (0.91–0.95)` of the pairs (N, 2) before, after."""
    logs = np.log(pairs[:, 1] / pairs[:, 0])
    half = stats.t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs))
    low, middle, high = np.exp([logs.mean() - half, logs.mean(), logs.mean() + half])
    return f"{middle:.3f} ({low:.3f}–{high:.3f})"


def measured(case: str, builds: Sequence[Build], pairs: int) -> np.ndarray:
    """Seconds (N, 2, 2): pair; before, after; wall clock, processor. The first run is left out."""
    run = CASES[case]
    for build in builds:
        if case in FILLED:
            build.fill(case, *FILLED[case])
        run(build)  # pictures are generated, files are read for the first time
    found = []
    for number in range(pairs):
        order = (0, 1) if number % 2 == 0 else (1, 0)
        took = {place: run(builds[place]) for place in order}
        found.append([took[0], took[1]])
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="builds_"))
    builds = []
    for name in ("before", "after"):
        builds.append(Build(getattr(given, name).resolve(), home / name))
        builds[-1].home.mkdir()
        (builds[-1].home / "first_step.py").write_text(FIRST_STEP)
    kept = {}
    print("| case | before | after | ratio of the clock | ratio of the processor |")
    print("|---|---:|---:|---:|---:|", flush=True)
    for case in given.cases or CASES:
        seconds = measured(case, builds, given.pairs)
        before, after = np.median(seconds[:, :, 0], axis=0)
        wall, processor = ratio(seconds[:, :, 0]), ratio(seconds[:, :, 1])
        print(f"| {case} | {before:.2f} s | {after:.2f} s | {wall} | {processor} |", flush=True)
        kept[case] = seconds.tolist()
        if given.json:
            given.json.write_text(json.dumps(kept))
    shutil.rmtree(home)


if __name__ == "__main__":
    main()
