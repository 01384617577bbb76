"""python benchmarks/convolutions.py CSV [--models NAME …] [--size 256]: a training step of each
network beside the sum of its convolutions' times.

Each convolution is measured alone, forwards and backwards: on random features of the size that it
has in the network, with gradients to its weights and, but for the first, to its features. Equal
ones are measured once and counted as often as they are called. The step is one of the whole
network with cross-entropy and Adam, and has normalisations, activations, poolings and the
optimizer, too. Steps and convolutions are measured in one process, in ROUNDS turns; medians are
kept. Rows that the CSV has are not measured again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent))

import keras  # noqa: E402
import numpy as np
from model_steps import keep, rows_of, step_seconds, timed_gradients
from models import BATCH, network

from flexunet_exp.models.graph import Call, calls_of

# Networks of custom layers (segformer, swin_unet, transunet) have theirs within these layers.
MODELS = (
    *("flexunet_small", "attention_unet", "efficient_unet", "deeplabv3plus", "sharpunet"),
    *("u2netp", "multiresunet", "u2net", "unet3plus"),
)
KINDS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Conv2DTranspose)
COLUMNS = ("model", "size", "convolutions", "step_seconds", "convolution_seconds", "ratio")
ROUNDS, REPEATS, STEPS = 3, 3, 3


def convolutions(model: keras.Model, size: int) -> tuple[dict[str, Call], Counter[str]]:
    """One call of each kind, and how often it is called with features of that size."""
    image = keras.KerasTensor((BATCH, size, size, 3), model.inputs[0].dtype)
    first, number = {}, Counter[str]()
    for call in calls_of(model, [image]).listed:
        if isinstance(call.operation, KINDS):
            config = call.operation.get_config()
            config.pop("name")
            key = json.dumps([config, call.inputs[0].shape], sort_keys=True, default=str)
            first.setdefault(key, call)
            number[key] += 1
    return first, number


def alone(call: Call) -> Callable[[], float]:
    """Measures seconds of one pass forwards and backwards."""
    import tensorflow as tf

    config = call.operation.get_config()
    layer = type(call.operation).from_config(config)
    draw = np.random.default_rng(0)
    features = tf.constant(draw.random(call.inputs[0].shape, np.float32))
    layer.build(features.shape)
    slope = tf.constant(draw.random(call.outputs[0].shape, np.float32))
    is_first = features.shape[-1] == 3

    @tf.function
    def both(seen: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(seen)
            found = layer(seen)
        sources = [*layer.trainable_variables, *([] if is_first else [seen])]
        return tape.gradient(found, sources, slope)

    return timed_gradients(both, features)


def measure(name: str, size: int) -> dict[str, float]:
    model = network(name, size, "loss=cross_entropy")
    first, number = convolutions(model, size)
    programs = {key: alone(call) for key, call in first.items()}
    steps, parts = [], {key: [] for key in first}
    for turn in range(ROUNDS):
        steps.append(step_seconds(model, size, BATCH, STEPS, 1 if turn else 2))
        for key, seconds in programs.items():
            parts[key].append(median(seconds() for _ in range(REPEATS)))
    step = median(steps)
    own = sum(number[key] * median(times) for key, times in parts.items())
    return {
        "convolutions": sum(number.values()),
        "step_seconds": round(step, 3),
        "convolution_seconds": round(own, 3),
        "ratio": round(step / own, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", type=Path)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.size)))
        return
    for name in given.models:
        if (name, str(given.size)) in rows_of(given.csv):
            continue
        words = [sys.executable, __file__, given.csv, "--one", name, "--size", str(given.size)]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        figures = json.loads(done.stdout.splitlines()[-1])
        keep(given.csv, COLUMNS, [{"model": name, "size": given.size, **figures}])


if __name__ == "__main__":
    main()
