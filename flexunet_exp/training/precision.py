"""trainer.precision=auto: the faster of float32 and mixed_bfloat16 for a network on this machine.

Measured once, on the run's own network, loss and optimizer, and remembered in the cache folder: the
same command must not choose another precision, and so train other weights, the next day.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from omegaconf import OmegaConf

from flexunet_exp.config import validation
from flexunet_exp.system import tensorflow
from flexunet_exp.training import remembered
from flexunet_exp.training.settings import TrainingSettings

if TYPE_CHECKING:
    from flexunet_exp.data.dataset import Dataset

log = logging.getLogger(__name__)

CANDIDATES = ("float32", "mixed_bfloat16")
WORTH_IT = 0.95  # of the float32 step's time; a smaller gain is within the noise of the timing
STEPS = 5


def resolve(settings: TrainingSettings, dataset: Dataset) -> str:
    """The precision of a training, measured where it is `auto`."""
    if settings.process.precision != "auto":
        return settings.process.precision
    path = memory(settings, dataset)
    seconds = seconds_in(path)
    if seconds is None:
        # Before anything imports Keras.
        tensorflow.prepare(settings.in_precision(CANDIDATES[0]).process)
        check_targets(settings)
        log.info("trainer.precision=auto: timing %s, once …", " and ".join(CANDIDATES))
        seconds = {name: seconds_a_step(settings, dataset, name) for name in CANDIDATES}
        remembered.keep(path, {"seconds_a_step": seconds}, "times")
    precision = faster(seconds)
    shown = ", ".join(f"{name} {1000 * value:.0f} ms" for name, value in seconds.items())
    log.info("Precision: %s (a training step: %s)", precision, shown)
    return precision


def check_targets(settings: TrainingSettings) -> None:
    """Raises InputError with every problem of the sections that a training step is made from."""
    sections = ("model", "loss", "optimizer", "schedule")
    nodes = {section: getattr(settings, section) for section in sections}
    validation.check_targets(OmegaConf.create(nodes), sections)


def faster(seconds: dict[str, float]) -> str:
    """The precision to train in, from the seconds a step of each takes."""
    ratio = seconds["mixed_bfloat16"] / seconds["float32"]
    return "mixed_bfloat16" if ratio < WORTH_IT else "float32"


def seconds_in(path: Path) -> dict[str, float] | None:
    """What was measured before; None where the file is missing or cannot be read."""
    try:
        seconds = remembered.read(path)["seconds_a_step"]
        return {name: float(seconds[name]) for name in CANDIDATES}
    except (ValueError, KeyError, TypeError):
        return None


def memory(settings: TrainingSettings, dataset: Dataset) -> Path:
    """The file that remembers what was measured for this network, step and machine."""
    feed, process = settings.feed, settings.process
    parts = [
        *(settings.model, settings.loss, settings.optimizer),
        *(feed.size, feed.batch_size, dataset.num_classes),
        *(process.num_threads, process.deterministic, process.strategy),
        *(processor(), version("tensorflow"), version("keras")),
    ]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    return feed.cache_dir / f"precision_{key}.json"


def processor() -> str:
    """Names and flags of this machine's processors, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    kept = {line for line in lines if line.startswith(("model name", "flags"))}
    return "\n".join(sorted(kept))


def seconds_a_step(settings: TrainingSettings, dataset: Dataset, precision: str) -> float:
    """Median time of a training step of the run's network on random pictures."""
    from flexunet_exp.training import fit

    trial = settings.in_precision(precision)
    tensorflow.prepare(trial.process)
    model = fit.compiled_model(trial, dataset)
    draw = np.random.default_rng(0)
    shape = (settings.feed.batch_size, *settings.feed.size)
    channels = model.input.shape[-1]
    images = draw.integers(0, 256, (*shape, channels), dtype=np.uint8).astype(model.input.dtype)
    masks = draw.integers(0, dataset.num_classes, shape, dtype=np.uint8)
    model.train_on_batch(images, masks)
    times = []
    for _ in range(STEPS):
        started = time.perf_counter()
        model.train_on_batch(images, masks)
        times.append(time.perf_counter() - started)
    return median(times)
