"""python benchmarks/normalisation.py CSV (steps [--models NAME …] | filters): batch normalisation
in one operation beside Keras's own.

`steps` takes a training step of each network at batch 4 and 256 px, `filters` one normalisation
forwards and backwards in the format of its maps, of so many filters. Both run in one process, in
ROUNDS turns; medians are kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent))

from model_steps import keep, rows_of, step_seconds, timed_gradients
from models import network

MODELS = ("flexunet_small", "attention_unet", "efficient_unet", "multiresunet", "u2netp")
PRECISIONS = ("float32", "mixed_bfloat16")
SIZE, BATCH, ROUNDS, STEPS = 256, 4, 4, 3
FILTERS = (4, 5, 8, 16, 17, 24, 32, 40, 51)
PROGRAMS = ("keras", "fused")
COLUMNS = ("model", "size", "precision", "keras_seconds", "fused_seconds", "ratio")


def of_step(name: str, precision: str) -> dict[str, float]:
    """Seconds of a step with normalisations of either kind."""
    words = f"trainer.precision={precision}", "loss=cross_entropy"
    fused, by_keras = (network(name, SIZE, *words) for _ in PROGRAMS)
    times: dict[str, list[float]] = {program: [] for program in PROGRAMS}
    for turn in range(ROUNDS):
        first = 1 if turn else 2
        with mock.patch("model_steps.fused_norm.fuse"):
            times["keras"].append(step_seconds(by_keras, SIZE, BATCH, STEPS, first))
        times["fused"].append(step_seconds(fused, SIZE, BATCH, STEPS, first))
    return {program: median(found) for program, found in times.items()}


def of_filters(filters: int, precision: str) -> dict[str, float]:
    """Seconds of one normalisation of maps (BATCH, SIZE, SIZE, filters) with its gradients."""
    import keras
    import numpy as np
    import tensorflow as tf

    from flexunet_exp.models import fused_norm
    from flexunet_exp.system import tensorflow
    from flexunet_exp.system.tensorflow import ProcessSettings

    tensorflow.prepare(ProcessSettings(None, False, precision, 0, "auto"))
    draw = np.random.default_rng(0)
    shape = (BATCH, SIZE, SIZE, filters)
    image = keras.Input(shape[1:], dtype=keras.config.dtype_policy().compute_dtype)
    maps, slope = (tf.cast(draw.random(shape, np.float32), image.dtype) for _ in range(2))

    def timed(model: keras.Model) -> Callable[[], float]:
        @tf.function
        def both(maps: tf.Tensor) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(maps)
                found = model(maps, training=True)
            return tape.gradient(found, [maps, *model.trainable_variables], slope)

        return timed_gradients(both, maps)

    norms = {one: keras.Model(image, keras.layers.BatchNormalization()(image)) for one in PROGRAMS}
    own = keras.config.dtype_policy().compute_dtype
    with mock.patch.object(fused_norm, "format_of", lambda *_: own):
        programs = {
            "keras": timed(norms["keras"]),
            "fused": timed(fused_norm.fuse(norms["fused"])),
        }
    times: dict[str, list[float]] = {program: [] for program in PROGRAMS}
    for _ in range(ROUNDS * STEPS):
        for program, seconds in programs.items():
            times[program].append(seconds())
    return {program: median(found) for program, found in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", type=Path)
    parser.add_argument("what", choices=("steps", "filters"))
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        name, precision = given.one
        steps = given.what == "steps"
        print(json.dumps(of_step(name, precision) if steps else of_filters(int(name), precision)))
        return
    names = given.models if given.what == "steps" else [f"{number} filters" for number in FILTERS]
    for name in names:
        if (name, str(SIZE)) in rows_of(given.csv):
            continue
        rows = []
        for precision in PRECISIONS:
            one = name.removesuffix(" filters")
            words = [sys.executable, __file__, given.csv, given.what, "--one", one, precision]
            done = subprocess.run(words, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            head = {"model": name, "size": SIZE, "precision": precision}
            seconds = {f"{program}_seconds": round(found[program], 4) for program in PROGRAMS}
            rows.append({**head, **seconds, "ratio": round(found["fused"] / found["keras"], 2)})
        keep(given.csv, COLUMNS, rows)


if __name__ == "__main__":
    main()
