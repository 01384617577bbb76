"""python benchmarks/onednn.py [--pairs 3]: oneDNN's convolutions against TensorFlow's own.

Each case is timed in processes of their own, in turn with TF_ENABLE_ONEDNN_OPTS=0 and =1. Prints a
Markdown table: seconds of one call, cores used, and the ratio of the medians. On a processor with
AVX512 both are oneDNN by default, and the setting is what a user would have to turn off.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SWITCH = "TF_ENABLE_ONEDNN_OPTS"
CASES = {
    "features of EfficientNet-Lite0, 4 pictures of 768 px": ("extract", 768, 4),
    "step of a decoder, 8 patches of features of 256 px": ("decode", 256, 8),
    "step of a decoder, 2 pictures of 768 px": ("decode", 768, 2),
    "step of the trainable EfficientNet-Lite0, 4 pictures of 256 px": ("train", 256, 4),
    "step of flexunet_small, 4 pictures of 256 px": ("small", 256, 4),
}
CLASSES, REPEATS = 6, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--case", choices=CASES, help="time one case in this process")
    given = parser.parse_args()
    if given.case:
        print(json.dumps(timed(*CASES[given.case])))
        return
    print("| case | TensorFlow's own | oneDNN | ratio |\n|---|---:|---:|---:|")
    for case in CASES:
        seconds: dict[str, list[float]] = {"0": [], "1": []}
        cores: dict[str, list[float]] = {"0": [], "1": []}
        for _ in range(given.pairs):
            for switch in seconds:
                one = measured(case, switch)
                seconds[switch].append(one[0])
                cores[switch].append(one[1])
        before, after = (statistics.median(seconds[switch]) for switch in ("0", "1"))
        used = [statistics.median(cores[switch]) for switch in ("0", "1")]
        print(
            f"| {case} | {before:.2f} s, {used[0]:.2f} cores | {after:.2f} s, {used[1]:.2f} cores "
            f"| {after / before:.2f} |",
            flush=True,
        )


def measured(case: str, switch: str) -> tuple[float, float]:
    """Seconds of a call, and the cores that it used."""
    environment = {**os.environ, SWITCH: switch, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, __file__, "--case", case]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def timed(kind: str, size: int, number: int) -> tuple[float, float]:
    call = made(kind, size, number)
    call(), call()
    started, used = time.perf_counter(), time.process_time()
    for _ in range(REPEATS):
        call()
    seconds = (time.perf_counter() - started) / REPEATS
    return seconds, (time.process_time() - used) / REPEATS / seconds


def made(kind: str, size: int, number: int) -> Callable[[], object]:
    """The call that is timed."""
    from flexunet_exp.system import tensorflow

    tensorflow.load()
    import keras
    import numpy as np

    from flexunet_exp.losses import CrossEntropyDice
    from flexunet_exp.training.features import FromFeatures

    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (number, size, size, 3), np.uint8)
    masks = draw.integers(0, CLASSES, (number, size, size)).astype(np.uint8)
    model = network(kind, size)
    inputs: object = images
    if kind in ("extract", "decode"):
        model = FromFeatures(model.input, model.output)
        maps = model.extractor.predict_on_batch(images)
        if kind == "extract":
            return lambda: model.extractor.predict_on_batch(images)
        inputs = tuple(maps)
    model.compile(keras.optimizers.AdamW(1e-3), CrossEntropyDice())
    return lambda: model.train_on_batch(inputs, masks)


def network(kind: str, size: int):
    if kind == "small":
        from flexunet_exp.models.flexunet import flexunet

        small = {"base_filters": 8, "base_kernel": 3, "num_layers": 6, "batch_norm": True}
        return flexunet((size, size, 3), CLASSES, **small)
    from flexunet_exp.models.unet import unet

    lite0 = "flexunet_exp.models.encoders.efficientnet_lite.efficientnet_lite0"
    trainable = "all" if kind == "train" else "frozen"
    encoder = {"_target_": lite0, "features": "expanded"}
    return unet((size, size, 3), CLASSES, encoder, None, trainable)


if __name__ == "__main__":
    main()
