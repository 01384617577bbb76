"""python benchmarks/infer.py PICTURES NUMBER SIZE [MODEL OVERRIDES …]: `flexunet infer` beside
the bare network.

Copies the pictures of the folder PICTURES under NUMBER names into a temporary folder, predicts them
with an untrained network of SIZE px, and prints pictures a second, the same of a bare batched
forward pass of the same network on pictures already resized, their ratio, and memory on the way.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from composing import compose  # noqa: E402

from flexunet_exp.commands.infer import pipeline
from flexunet_exp.commands.infer.records import RECORDS  # noqa: E402
from flexunet_exp.commands.infer.report import Report  # noqa: E402
from flexunet_exp.config import building
from flexunet_exp.data import (
    find_pictures,
    masks,  # noqa: E402
)
from flexunet_exp.prediction.predictor import Predictor  # noqa: E402
from flexunet_exp.prediction.settings import PredictSettings  # noqa: E402
from flexunet_exp.system import tensorflow  # noqa: E402
from flexunet_exp.system.tensorflow import ProcessSettings

BATCH = 4
PALETTE = np.array([(0, 0, 0), (0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 0), (0, 255, 255)])
BARE_BATCHES = 8  # before and after the pictures, since a machine's speed changes
AT = 50  # the picture at which memory is read first


def main() -> None:
    source, number, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    cfg = compose(*sys.argv[4:])
    tensorflow.prepare(ProcessSettings.from_config(cfg))
    model = building.build(cfg.model, input_shape=(size, size, 3), num_classes=len(PALETTE))
    keep_defects_rare(model, source, size)
    trained = SimpleNamespace(
        predictor=Predictor(model, (size, size), BATCH),
        class_names=("background", "bent", "broken", "glue", "metal", "thread"),
        palette=PALETTE.astype(np.uint8),
        settings=PredictSettings((size, size), "none", 0.25, "none", BATCH, "as_trained"),
    )
    with tempfile.TemporaryDirectory() as folder:
        photos, output = Path(folder, "photos"), Path(folder, "out")
        copy(source, photos, number)
        before = bare(model, size)
        memory: dict[int, int] = {}
        threading.Thread(target=watch, args=(output, memory), daemon=True).start()
        found = find_pictures.find([str(photos)], output)
        report = pipeline.infer(trained, found, output, pipeline.Options())
        time.sleep(0.5)
    show(report, [*before, *bare(model, size)], memory)


def keep_defects_rare(model, source: Path, size: int) -> None:
    """Raises the background's bias until 1 % of the pixels are defects, as in MVTec AD.

    An untrained network predicts noise everywhere, and drawing it would dominate the measurement.
    """
    chosen = pictures_of(source)[:BATCH]
    batch = np.stack([masks.resize_image(masks.read_image(path), (size, size)) for path in chosen])
    logits = np.asarray(model.predict_on_batch(batch), np.float32)
    kernel, bias = model.layers[-1].get_weights()
    bias[0] += np.quantile(logits[..., 1:].max(axis=-1) - logits[..., 0], 0.99)
    model.layers[-1].set_weights([kernel, bias])


def pictures_of(source: Path) -> list[Path]:
    return [path for path in sorted(source.rglob("*.png")) if "ground_truth" not in path.parts]


def copy(source: Path, photos: Path, number: int) -> None:
    photos.mkdir()
    sources = itertools.cycle(pictures_of(source))
    for index, path in enumerate(itertools.islice(sources, number)):
        shutil.copyfile(path, photos / f"{index:05d}.png")


def bare(model, size: int) -> list[float]:
    """Seconds a picture of each of some batches."""
    batch = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 3)).astype(np.uint8)
    model.predict_on_batch(batch)
    seconds = []
    for _ in range(BARE_BATCHES):
        started = time.perf_counter()
        model.predict_on_batch(batch)
        seconds.append((time.perf_counter() - started) / BATCH)
    return seconds


def watch(output: Path, memory: dict[int, int]) -> None:
    """Records resident megabytes by the number of pictures done, during the work."""
    page = os.sysconf("SC_PAGE_SIZE")
    while True:
        time.sleep(0.1)
        records = output / RECORDS
        done = records.read_bytes().count(b"\n") - 1 if records.exists() else 0
        memory[done] = int(Path("/proc/self/statm").read_text().split()[1]) * page // 2**20


def show(report: Report, seconds: list[float], memory: dict[int, int]) -> None:
    rate, forward = report.done / report.seconds, 1 / median(seconds)
    print(f"pictures, with a defect    {report.done}, {report.with_defect}")
    print(f"flexunet infer             {rate:.2f} pictures/s")
    print(f"bare forward pass          {forward:.2f} pictures/s")
    print(f"ratio                      {rate / forward:.2f}")
    first = min((done for done in memory if done >= AT), default=max(memory))
    last = max(memory)
    print(f"memory at picture {first:<9}{memory[first]} MB")
    print(f"memory at picture {last:<9}{memory[last]} MB")


if __name__ == "__main__":
    main()
