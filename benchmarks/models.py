"""python benchmarks/models.py CSV [--sizes 256 512] [--models NAME …]: what each model costs.

For each size and model one process measures parameters, multiply-adds of a picture, the median
seconds of a training step and the peak memory. Rows that the CSV has are not measured again: a run
that was cut off goes on. Weights are random; a step has BATCH pictures and trains every layer.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from composing import compose  # noqa: E402

from flexunet_exp.config import building
from flexunet_exp.config.compose import plain
from flexunet_exp.models import summary
from flexunet_exp.system import tensorflow  # noqa: E402
from flexunet_exp.system.tensorflow import ProcessSettings

MODELS = (
    *("flexunet", "flexunet_small", "attention_unet", "unet_lite0", "efficient_unet"),
    *("unet3plus", "multiresunet", "sharpunet", "u2net", "u2netp", "deeplabv3plus"),
    *("segformer", "swin_unet", "transunet"),
)
OVER_AN_ENCODER = ("unet_lite0", "efficient_unet", "deeplabv3plus")
COLUMNS = ("model", "size", "parameters", "multiply_adds", "step_seconds", "peak_gb")
BATCH, CLASSES, STEPS = 2, 6, 3


def measure(name: str, size: int) -> dict[str, float]:
    import keras

    words = [f"model={name}"]
    if name in OVER_AN_ENCODER:
        words += ["model.encoder_weights=null", "model.encoder_trainable=all"]
    cfg = compose(*words)
    tensorflow.prepare(ProcessSettings.from_config(cfg))
    model = building.build(cfg.model, input_shape=(size, size, 3), num_classes=CLASSES)
    costs = summary.layer_table(model, (size, size, 3))["multiply_adds"].sum()
    loss = building.build({**plain(cfg.loss), "class_weights": None})
    model.compile(keras.optimizers.Adam(1e-4), loss)
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (BATCH, size, size, 3), dtype=np.uint8)
    masks = (draw.random((BATCH, size, size)) < 0.03).astype(np.uint8)
    times = []
    for _ in range(STEPS + 1):
        started = time.perf_counter()
        model.train_on_batch(images, masks)
        times.append(time.perf_counter() - started)
    return {
        "parameters": model.count_params(),
        "multiply_adds": int(costs),
        "step_seconds": round(median(times[1:]), 3),  # the first one is traced
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", type=Path)
    parser.add_argument("--sizes", nargs="+", type=int, default=[256, 512])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--one", action="store_true", help="measure in this process, as JSON")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.models[0], given.sizes[0])))
        return
    known = rows_of(given.csv)
    for size in given.sizes:
        for name in given.models:
            if (name, str(size)) not in known:
                keep(given.csv, {"model": name, "size": size, **in_own_process(name, size)})


def in_own_process(name: str, size: int) -> dict[str, float]:
    """The figures of a model; none where its process fails, for instance for lack of memory."""
    words = ("none.csv", "--one", "--models", name, "--sizes", str(size))
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True)
    if done.returncode:
        print(f"{name} at {size} px failed:\n{done.stderr[-1500:]}", file=sys.stderr)
        return {}
    return json.loads(done.stdout.splitlines()[-1])


def rows_of(path: Path) -> set[tuple[str, str]]:
    if not path.exists():
        return set()
    with open(path, newline="") as file:
        return {(row["model"], row["size"]) for row in csv.DictReader(file)}


def keep(path: Path, row: dict) -> None:
    is_new = not path.exists()
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if is_new:
            writer.writeheader()
        writer.writerow(row)
    print(row, flush=True)


if __name__ == "__main__":
    main()
