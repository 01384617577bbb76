"""python benchmarks/step.py PRECISION OPTIMIZER MEMORY: seconds a sample of the original network's
bare training step, and of its inference, as one line of JSON.

OPTIMIZER is `keras` or `fused` (flexunet_exp.optimizers), MEMORY `default` or `kept`
(system.tensorflow.keep_freed_memory). Each call is a process, since it cannot undo its settings.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from composing import compose  # noqa: E402

from flexunet_exp.config import building
from flexunet_exp.config.compose import plain
from flexunet_exp.system import tensorflow  # noqa: E402
from flexunet_exp.system.tensorflow import ProcessSettings

STEPS, BATCH, SIZE, CLASSES = 6, 2, 512, 8


def main() -> None:
    precision, optimizer, memory = sys.argv[1:]
    if memory == "default":
        tensorflow.keep_freed_memory = lambda: None
    cfg = compose("experiment=seed_zipper", f"trainer.precision={precision}")
    if optimizer == "keras":
        cfg.optimizer._target_ = "keras.optimizers.Adam"
    tensorflow.prepare(ProcessSettings.from_config(cfg))
    print(json.dumps(measure(cfg)))


def measure(cfg) -> dict[str, float]:
    from flexunet_exp.metrics import SegmentationScores

    model = building.build(cfg.model, input_shape=(SIZE, SIZE, 3), num_classes=CLASSES)
    names = [str(index) for index in range(CLASSES)]
    loss = building.build({**plain(cfg.loss), "class_weights": None})
    model.compile(building.build(cfg.optimizer), loss, metrics=[SegmentationScores(names)])
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (BATCH, SIZE, SIZE, 3), dtype=np.uint8)
    masks = (draw.random((BATCH, SIZE, SIZE)) < 0.03).astype(np.uint8)
    return {
        "step": timed(lambda: model.train_on_batch(images, masks)) / BATCH,
        "inference": timed(lambda: model.predict_on_batch(images)) / BATCH,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def timed(action) -> float:
    """Median seconds of a call, after two calls that are not counted."""
    times = []
    for _ in range(STEPS + 2):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return median(times[2:])


if __name__ == "__main__":
    main()
