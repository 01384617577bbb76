"""What a training costs beyond its bare steps: time, start-up, memory. Part of `make bench`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from composing import compose

from flexunet_exp.data import dataset as datasets
from flexunet_exp.system import tensorflow
from flexunet_exp.system.tensorflow import ProcessSettings

ROOT = Path(__file__).resolve().parents[1]
Row = tuple[str, str, str, str]
# The original program's settings on generated pictures of its size.
ZIPPER = (
    *("experiment=seed_zipper", "dataset/layout=synthetic", "split=memorise"),
    *("dataset.layout.size=512", "dataset.layout.images_per_class=2"),
    *("dataset.layout.good_images=2", "split.num_images=6", "split.repeats=4"),
)
TINY = (
    *("dataset=screw", "dataset/layout=synthetic", "model.base_filters=2", "model.base_kernel=3"),
    *("model.num_layers=3", "callbacks=none", "augmentation=none", "trainer.epochs=1"),
)
ORIGINAL_EPOCH = 62.0  # seconds of the original program for the epoch of `epoch_phases`


def flexunet(folder: Path, *words: str) -> tuple[str, float]:
    """Runs `flexunet train words…`; what it printed, and its peak resident megabytes."""
    return python(
        folder, "-m", "flexunet_exp", "train", f"data_root={folder.parent / 'data'}", *words
    )


def python(folder: Path, *words: str, fails: bool = False) -> tuple[str, float]:
    folder.mkdir(exist_ok=True, parents=True)
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(
            [sys.executable, *words], cwd=folder, stdout=printed, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        printed.seek(0)
        text = printed.read()
    if status and not fails:
        raise SystemExit(f"{' '.join(words)} failed:\n{text}")
    return text, usage.ru_maxrss / 1000


def bare(precision: str, optimizer: str = "fused", memory: str = "kept") -> dict[str, float]:
    """Seconds a sample of the original network's bare step and inference, in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        script = str(ROOT / "benchmarks" / "step.py")
        text, _ = python(Path(folder), script, precision, optimizer, memory)
    return json.loads(text.splitlines()[-1])


def step_speed() -> list[Row]:
    """The bare training step of the original's network (125 million weights, 512 px, batch 2), a
    sample: with Keras's Adam and the C library's own memory handling, and as it is here."""
    variants = {
        "Keras's Adam": ("keras", "default"),
        "Adam in one pass": ("fused", "default"),
        "freed memory kept": ("keras", "kept"),
        "both, as trained here": ("fused", "kept"),
    }
    rows = []
    for precision in ("float32", "mixed_bfloat16"):
        took = {name: bare(precision, *how)["step"] for name, how in variants.items()}
        first = took["Keras's Adam"]
        rows += [
            (
                f"{precision}, {name}",
                f"{seconds:.3f} s",
                f"{first:.3f} s: Keras's Adam",
                f"{seconds / first:.2f}",
            )
            for name, seconds in took.items()
        ]
    return rows


def pipeline_overhead() -> list[Row]:
    """A training sample of `seed_zipper` (512 px, batch 2, float32 and bfloat16) through the whole
    pipeline against the bare step of the same network in the same process; wanted: at most 1.05."""
    script = str(ROOT / "benchmarks" / "through.py")
    rows = []
    for precision in ("float32", "mixed_bfloat16"):
        with tempfile.TemporaryDirectory() as folder:
            text, _ = python(Path(folder), script, f"trainer.precision={precision}", *ZIPPER)
        took = json.loads(text.splitlines()[-1])
        ratio = took["pipeline"] / took["bare"]
        beside = f"{took['bare']:.3f} s: the bare step"
        rows.append((precision, f"{took['pipeline']:.3f} s", beside, f"{ratio:.3f}"))
    return rows


def epoch_phases() -> list[Row]:
    """A whole epoch of `seed_zipper` in bfloat16, phase by phase: 24 training, 6 validation and 6
    epoch pictures of 512 px, checkpoint and state, against 24 bare training and 12 bare inference
    samples; wanted: at most 1.12. The original program took 62 s for it on two such cores (it
    uses one thread); wanted: 2.5 to 3 times as fast."""
    before = bare("mixed_bfloat16")
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        settings = ("trainer.precision=mixed_bfloat16", "trainer.profile=true", "trainer.epochs=4")
        flexunet(home, *ZIPPER, *settings)
        (found,) = home.glob("outputs/*/*/profile.csv")
        seconds = pd.read_csv(found).set_index("phase")["seconds"]
    after = bare("mixed_bfloat16")
    step, inference = ((before[key] + after[key]) / 2 for key in ("step", "inference"))
    floor = 24 * step + 12 * inference
    rows = [
        (f"{phase}", f"{value:.2f} s", f"{floor:.2f} s: bare", f"{value / floor:.3f}")
        for phase, value in seconds.items()
        if value >= 0.005
    ]
    whole = seconds["all"]
    extra = seconds["epoch images"] - 6 * inference + seconds[["curves", "tracking"]].sum()
    rows.append(
        ("epoch images beyond their forward passes, curves, tracking (wanted: at most 0.03)",
         f"{extra:.2f} s", f"{whole:.2f} s: the epoch", f"{extra / whole:.3f}")
    )  # fmt: skip
    speed = f"{ORIGINAL_EPOCH / whole:.2f} times as fast"
    return [
        *rows,
        ("the original program", f"{ORIGINAL_EPOCH:.0f} s", f"{whole:.2f} s: here", speed),
    ]


def reading() -> list[Row]:
    """Pictures and masks a second on one thread, decoded and resized: PNG files, memory, disk
    cache."""
    with tempfile.TemporaryDirectory() as name:
        words = ["dataset=screw", "dataset/layout=synthetic", "dataset.layout.size=1024"]
        cfg = compose(*words, "dataset.layout.images_per_class=8", f"data_root={name}")
        tensorflow.prepare(ProcessSettings.from_config(cfg))
        dataset = datasets.load(cfg)
        rows = []
        for size in (256, 512):
            rates = dict(rates_of(dataset, size, Path(name) / "cache"))
            for cache, rate in rates.items():
                beside = f"{rates['none']:.0f} images/s: PNG files"
                what = f"1024 px to {size} px, cache {cache}"
                rows.append((what, f"{rate:.0f} images/s", beside, f"{rate / rates['none']:.1f}"))
    return rows


def rates_of(dataset, size: int, folder: Path) -> Iterator[tuple[str, float]]:
    from flexunet_exp.data.feed.reader import SampleReader

    for cache in ("none", "memory", "disk"):
        reader = SampleReader(dataset, dataset.table, (size, size), cache, folder)
        times = []
        for _ in range(3):  # the first fills the memory
            started = time.perf_counter()
            for index in range(len(reader)):
                image, _ = reader(index)
                np.add.reduce(image, axis=None)  # read it once, as a network does
            times.append(time.perf_counter() - started)
        yield cache, len(reader) / min(times)


def memory() -> list[Row]:
    """Peak memory of a training on 200 and on 2,000 generated pictures of 512 px (one epoch of a
    tiny network); wanted: at most 300 MB more for `none` and `disk`."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for cache in ("none", "disk", "memory"):
            peaks = {}
            for count in (200, 2000):
                size = ("dataset.image_size=512", "dataset.layout.size=512", "trainer.batch_size=8")
                number = (f"dataset.layout.images_per_class={count // 5}", "dataset.good=none")
                words = (*TINY, *size, *number, f"dataset.cache={cache}", "tracking=none")
                _, peaks[count] = flexunet(
                    Path(name) / f"{cache}{count}", *words, "split.ratios=[0.9,0.05,0.05]"
                )
            more = peaks[2000] - peaks[200]
            rows.append(
                (f"cache {cache}", f"{peaks[2000]:.0f} MB at 2,000", f"{peaks[200]:.0f} MB at 200",
                 f"{more:+.0f} MB")
            )  # fmt: skip
    return rows


def first_step() -> list[Row]:
    """From the command to the end of the first step of quickstart; wanted: at most 15 s."""
    deadly = (
        str(ROOT / "tests" / "support" / "kill_at.py"),
        "SIGKILL",
        "flexunet_exp.callbacks.configured:NanGuard.on_train_batch_end",
    )
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        times = []
        for _ in range(4):
            words = ("experiment=quickstart", f"data_root={name}/data", "trainer.resume=never")
            started = time.perf_counter()
            python(home, *deadly, "1", "train", *words, fails=True)
            times.append(time.perf_counter() - started)
        started = time.perf_counter()
        python(home, "-c", "import tensorflow, mlflow")
        imports = time.perf_counter() - started
    beside = f"{imports:.1f} s: importing TensorFlow and MLflow"
    labels = {"the first time, pictures generated": times[0], "afterwards": median(times[1:])}
    return [(what, f"{s:.1f} s", beside, f"{s / imports:.1f}") for what, s in labels.items()]


def many_cells() -> list[Row]:
    """Memory after 30 runs of a sweep in one process against that after the fifth; wanted: at most
    200 MB more."""
    with tempfile.TemporaryDirectory() as name:
        words = (*TINY, "dataset.image_size=64", "dataset.layout.size=64", f"data_root={name}/data")
        few = ("dataset.layout.images_per_class=4", "callbacks=default", "trainer.epochs=2")
        script, table = str(ROOT / "benchmarks" / "soak.py"), Path(name) / "soak.csv"
        python(Path(name) / "home", script, str(table), "30", "60", *words, *few)
        after = pd.read_csv(table)["megabytes"].tolist()
    more = after[29] - after[4]
    return [("30 runs", f"{after[29]:.0f} MB", f"{after[4]:.0f} MB: after 5", f"{more:+.0f} MB")]


SECTIONS = (
    step_speed,
    pipeline_overhead,
    epoch_phases,
    reading,
    memory,
    first_step,
    many_cells,
)
