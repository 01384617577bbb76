"""python benchmarks/augmentation.py [transforms] [lists] [step]: what augmentation costs.

Prints the tables of docs/measured/costs.md: processor time a picture of every transform and list of
transforms at three sizes, and a training step of the quickstart under each list.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean, median

import numpy as np
from composing import compose
from omegaconf import DictConfig

from flexunet_exp.config import building
from flexunet_exp.config.compose import image_size, plain
from flexunet_exp.data import augmentation, synthetic
from flexunet_exp.data.augmentation import Transform
from flexunet_exp.data.feed.settings import FeedSettings
from flexunet_exp.system import tensorflow
from flexunet_exp.system.tensorflow import ProcessSettings
from flexunet_exp.training.settings import TrainingSettings

ROOT = Path(__file__).resolve().parents[1]
SIZES = (128, 256, 512)
PICTURES = 200  # drawn for each figure of a list, whose transforms are applied at random
ROUNDS, READ_AHEAD, STEPS = 12, 3, 12
LISTS = ("none", "light", "standard", "strong", "seed_zipper", "seed_screw")


def main() -> None:
    os.chdir(ROOT)
    sections = {"transforms": transforms, "lists": lists, "step": step}
    for name in sys.argv[1:] or sections:
        print(*sections[name](), sep="\n", end="\n\n", flush=True)


def transforms() -> Iterator[str]:
    yield "| one transform, as `strong` sets it | " + " | ".join(f"{s} px" for s in SIZES) + " |"
    yield "|---|" + "---:|" * len(SIZES)
    for transform in listed("strong", probability=1):
        yield row(type(transform).__name__, [transform], median)


def lists() -> Iterator[str]:
    yield "| list | " + " | ".join(f"{s} px" for s in SIZES) + " |"
    yield "|---|" + "---:|" * len(SIZES)
    for name in LISTS:
        yield row(f"`{name}`", listed(name), mean)


def row(label: str, chosen: list[Transform], average: Callable) -> str:
    cells = [f"{1e3 * average(processor_seconds(chosen, size)):.2f} ms" for size in SIZES]
    return f"| {label} | {' | '.join(cells)} |"


def under(name: str) -> DictConfig:
    """The quickstart's training with this augmentation, long enough for all rounds."""
    words = ("experiment=quickstart", f"augmentation={name}", "trainer.epochs=1000")
    return compose(*words, "dataset.cache=memory")


def listed(name: str, **changes: float) -> list[Transform]:
    nodes = compose(f"augmentation={name}").augmentation.transforms
    return [building.build({**plain(node), **changes}) for node in nodes]


def processor_seconds(chosen: list[Transform], size: int) -> list[float]:
    """Processor seconds of each of many pictures, with OpenCV's threads."""
    image, mask = synthetic.render("zipper", "rough", 1, 0, size)
    took = []
    for index in range(PICTURES):
        started = time.process_time()
        augmentation.augment(chosen, image, mask, key=(0, 0, index))
        took.append(time.process_time() - started)
    return took


def step() -> Iterator[str]:
    """Steps of one network under each list in turn, in several rounds, its data in memory."""
    cfg = compose("experiment=quickstart")
    tensorflow.prepare(ProcessSettings.from_config(cfg))
    from flexunet_exp.data import dataset as datasets
    from flexunet_exp.data.feed import feed
    from flexunet_exp.training import fit

    dataset = datasets.load(cfg)
    model = fit.compiled_model(TrainingSettings.from_config(cfg), dataset)
    size, batch = image_size(cfg), cfg.trainer.batch_size
    names = ("none", "light", "standard", "strong")
    batches = {
        name: iter(feed.feed(FeedSettings.from_config(under(name)), dataset).training)
        for name in names
    }
    took: dict[str, list] = {name: [] for name in names}
    for turn in range(ROUNDS + 1):
        first = turn % len(names)  # each list comes first in turn: the machine's speed drifts
        for name in names[first:] + names[:first]:
            train(model, batches[name], READ_AHEAD)  # prefetched during another list's turn
            took[name].append(milliseconds(lambda name=name: train(model, batches[name], STEPS)))
    what = f"`experiment=quickstart`, {size[0]} px, batch {batch}"
    yield f"| {what} | a step | ratio | processor time | ratio |"
    yield "|---|---:|---:|---:|---:|"
    medians = {name: np.median(times[1:], axis=0) for name, times in took.items()}
    for name, (wall, processor) in medians.items():
        ratios = medians[name] / medians["none"]
        yield (
            f"| `{name}` | {wall:.0f} ms | {ratios[0]:.2f} | {processor:.0f} ms | {ratios[1]:.2f} |"
        )


def train(model, batches: Iterator, steps: int) -> None:
    for _ in range(steps):
        model.train_on_batch(*next(batches))


def milliseconds(action: Callable[[], None]) -> tuple[float, float]:
    """Wall-clock time and processor time of a step."""
    wall, processor = time.perf_counter(), time.process_time()
    action()
    spent = time.perf_counter() - wall, time.process_time() - processor
    return 1e3 * spent[0] / STEPS, 1e3 * spent[1] / STEPS


if __name__ == "__main__":
    main()
