"""make bench: times what a user waits for, each beside something measured in the same run.

Writes docs/measured/benchmarks.md. Figures are medians; the ratio is the figure to quote, since
machines and their loads differ. `python benchmarks/measure.py NAME…` runs the sections so named
and writes nothing.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import sweeps
import whole
from composing import compose

from flexunet_exp.data import dataset as datasets
from flexunet_exp.data import masks, synthetic
from flexunet_exp.data.feed.settings import FeedSettings
from flexunet_exp.reporting import panels, plots
from flexunet_exp.scores import confusions
from flexunet_exp.system import tensorflow
from flexunet_exp.system.tensorflow import ProcessSettings
from flexunet_exp.training.settings import TrainingSettings

ROOT = Path(__file__).resolve().parents[1]
Row = tuple[str, str, str, str]


def seconds(action: Callable[[], object], repeats: int = 5) -> float:
    """Median time of `action`, after one call that is not counted."""
    action()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return median(times)


def run(*words: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, *words], capture_output=True, check=True)


def start_up() -> list[Row]:
    """Config-only calls against an interpreter that imports Hydra and does nothing."""
    bare = seconds(run("-c", "import hydra"))
    rows = []
    for command in ("train", "evaluate", "inspect", "cache", "ui"):
        for option in ("--help", "--cfg=job"):
            took = seconds(run("-m", "flexunet_exp", command, *option.split("=")))
            words = f"`flexunet {command} {option.replace('=', ' ')}`"
            rows.append(
                (words, f"{took:.2f} s", f"{bare:.2f} s: `import hydra`", f"{took / bare:.1f}")
            )
    return rows


def drawing() -> list[Row]:
    """Generated pictures a second on one thread, 256 px, PNG files included."""
    rows = []
    for name in synthetic.CLASSES:
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            target = Path(folder) / name
            synthetic.generate(
                target, name, images_per_class=10, good=10, size=256, seed=1, workers=1
            )
            took = time.perf_counter() - started
            count = len(list(target.glob("*/*/*.png"))) - len(list(target.glob("ground_truth/*/*")))
        rate = count / took
        rows.append(
            (f"synthetic {name}", f"{rate:.0f} images/s", "20 images/s: wanted", f"{rate / 20:.1f}")
        )
    return rows


def training() -> list[Row]:
    """A step of a small FlexUNet through the whole pipeline against the bare step of the model."""
    cfg = compose(
        *("dataset/layout=synthetic", "model=flexunet_small", "augmentation=flips"),
        *("dataset.image_size=128", "trainer.batch_size=8", "dataset.layout.images_per_class=20"),
    )
    tensorflow.prepare(ProcessSettings.from_config(cfg))
    from flexunet_exp.data.feed import feed as feeding
    from flexunet_exp.training import fit

    dataset = datasets.load(cfg)
    model = fit.compiled_model(TrainingSettings.from_config(cfg), dataset)
    rows = []
    for cache in ("none", "memory"):
        cfg.dataset.cache = cache
        feed = feeding.feed(FeedSettings.from_config(cfg), dataset)
        iterator, steps = iter(feed.training), feed.steps
        images, class_masks = next(iterator)
        bare = seconds(lambda x=images, y=class_masks: model.train_on_batch(x, y), 20)

        def epoch(iterator=iterator, steps=steps) -> None:
            for _ in range(steps):
                model.train_on_batch(*next(iterator))

        step = seconds(epoch, 3) / steps
        label = f"flexunet_small at 128 px, a training step with its data, cache {cache}"
        rows.append(
            (
                label,
                f"{1e3 * step:.0f} ms",
                f"{1e3 * bare:.0f} ms: the bare step",
                f"{step / bare:.2f}",
            )
        )
    return rows


def pictures() -> list[Row]:
    """What an epoch draws, against reading one picture."""
    image, mask = synthetic.render("zipper", "rough", 1, 0, 256)
    truth = (mask > 0).astype(np.uint8)
    names, palette = ["background", "rough"], np.array([(0, 0, 0), (255, 0, 0)], np.uint8)
    import pandas as pd

    history = pd.DataFrame({"train": np.linspace(0, 1, 50), "valid": np.linspace(0, 0.8, 50)})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        panels.write_png(path, image)
        read = seconds(lambda: masks.read_image(path), 20)
        jobs = {
            "a panel of 256 px": lambda: panels.panel(image, truth, truth, names, palette, "x"),
            "a palette mask written": lambda: masks.write_palette_mask(path, truth, palette),
            "a curve plot": lambda: plots.curves(history, path, "dice", "dice"),
            "confusion counts of 256 px": lambda: confusions.confusion(truth, truth, 2),
        }
        took = {label: seconds(action, 10) for label, action in jobs.items()}
    return [
        (label, f"{1e3 * s:.1f} ms", f"{1e3 * read:.1f} ms: reading a picture", f"{s / read:.1f}")
        for label, s in took.items()
    ]


def table(rows: list[Row]) -> str:
    head = "| what | measured | beside | ratio |\n|---|---|---|---|\n"
    return head + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def main() -> None:
    os.chdir(ROOT)
    sections = [start_up, drawing, pictures, training, *whole.SECTIONS, *sweeps.SECTIONS]
    wanted = sys.argv[1:]
    text = (
        "# Benchmarks\n\nWritten by `make bench` "
        f"({os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}). "
        "The figures are medians. The column *beside* has a figure that was measured in the same "
        "run for comparison.\n"
    )
    for section in sections:
        if wanted and section.__name__ not in wanted:
            continue
        part = f"\n{' '.join((section.__doc__ or '').split())}\n\n{table(section())}"
        print(part, flush=True)
        text += part
        if not wanted:
            (ROOT / "docs" / "measured" / "benchmarks.md").write_text(text)


if __name__ == "__main__":
    main()
