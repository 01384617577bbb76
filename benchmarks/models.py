"""python benchmarks/models.py CSV [--sizes 256 512] [--models NAME …]: what each model costs.

For each size and model one process measures parameters, multiply-adds of a picture, the median
seconds of a training step and the peak memory. Rows that the CSV has are not measured again: a run
that was cut off goes on. Weights are random; a step has BATCH pictures and trains every layer.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent))

from composing import compose  # noqa: E402
from model_steps import keep, rows_of, step_seconds  # noqa: E402

from flexunet_exp.config import building
from flexunet_exp.config.compose import plain
from flexunet_exp.models import summary
from flexunet_exp.system import tensorflow  # noqa: E402
from flexunet_exp.system.tensorflow import ProcessSettings

if TYPE_CHECKING:
    import keras

MODELS = (
    *("flexunet", "flexunet_small", "attention_unet", "unet_lite0", "efficient_unet"),
    *("unet3plus", "multiresunet", "sharpunet", "u2net", "u2netp", "deeplabv3plus"),
    *("segformer", "swin_unet", "transunet"),
)
OVER_AN_ENCODER = ("unet_lite0", "efficient_unet", "deeplabv3plus")
COLUMNS = ("model", "size", "parameters", "multiply_adds", "step_seconds", "peak_gb")
BATCH, CLASSES, STEPS = 2, 6, 3


def network(name: str, size: int, *more: str) -> keras.Model:
    """The compiled network, every layer of which is trained."""
    import keras

    words = [f"model={name}", *more]
    if name in OVER_AN_ENCODER:
        words += ["model.encoder_weights=null", "model.encoder_trainable=all"]
    cfg = compose(*words)
    tensorflow.prepare(ProcessSettings.from_config(cfg))
    model = building.build(cfg.model, input_shape=(size, size, 3), num_classes=CLASSES)
    loss = building.build({**plain(cfg.loss), "class_weights": None})
    model.compile(keras.optimizers.Adam(1e-4), loss)
    return model


def measure(name: str, size: int) -> dict[str, float]:
    model = network(name, size)
    costs = summary.layer_table(model, (size, size, 3))["multiply_adds"].sum()
    return {
        "parameters": model.count_params(),
        "multiply_adds": int(costs),
        "step_seconds": round(step_seconds(model, size, BATCH, STEPS, 1), 3),  # the first is traced
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
                row = {"model": name, "size": size, **in_own_process(name, size)}
                keep(given.csv, COLUMNS, [row])


def in_own_process(name: str, size: int) -> dict[str, float]:
    """The figures of a model; none where its process fails, for instance for lack of memory."""
    words = ("none.csv", "--one", "--models", name, "--sizes", str(size))
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True)
    if done.returncode:
        print(f"{name} at {size} px failed:\n{done.stderr[-1500:]}", file=sys.stderr)
        return {}
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
