"""python benchmarks/memory.py CSV [--cases NAME …]: memory of trainings, predicted and measured.

Each case is a process of its own, which trains two epochs on generated pictures, validation
included, and takes the most memory that it has had. Rows are appended to the table. Weights are
random: nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent))

from composing import compose
from model_steps import keep

from flexunet_exp.system import memory, tensorflow
from flexunet_exp.training.settings import TrainingSettings

GIGA = 1e9
RANDOM = "model.encoder_weights=null"
BFLOAT16 = "trainer.precision=mixed_bfloat16"
CASES = {
    "flexunet": (512, 4, "model=flexunet"),
    "flexunet_small": (256, 32, "model=flexunet_small"),
    "attention_unet": (512, 6, "model=attention_unet"),
    "attention_unet, bfloat16": (512, 6, "model=attention_unet", BFLOAT16),
    "u2netp": (320, 4, "model=u2netp"),
    "unet_lite0, trained": (512, 8, "model=unet_lite0", RANDOM, "model.encoder_trainable=all"),
    "unet, frozen encoder": (512, 24, "model=unet", RANDOM),
}
COLUMNS = (
    *("network", "size", "batch_size", "program_gb", "weights_gb", "activations_gb"),
    *("predicted_gb", "peak_gb", "ratio"),
)
EPOCHS = 2


def words(name: str, folder: str) -> list[str]:
    size, batch_size, *model = CASES[name]
    number = max(2, batch_size // 2)  # half of six times as many are trained on: a step or two
    return [
        *("dataset=grid", "dataset/layout=synthetic", f"data_root={folder}", "tracking=none"),
        *(f"dataset.layout.images_per_class={number}", f"dataset.layout.good_images={number}"),
        *(f"dataset.layout.size={size}", f"dataset.image_size={size}", "loss=ce_dice"),
        *(f"trainer.batch_size={batch_size}", f"trainer.epochs={EPOCHS}", *model),
    ]


def measure(name: str) -> dict[str, float]:
    with TemporaryDirectory() as folder:
        cfg = compose(*words(name, folder))
        settings = TrainingSettings.from_config(cfg)
        tensorflow.prepare(settings.process)
        from flexunet_exp.data import dataset as datasets
        from flexunet_exp.training import fit
        from flexunet_exp.training import memory as predicting

        dataset = datasets.load(cfg)
        model = fit.compiled_model(settings, dataset)
        predicted, batch_size = predicting.predict(model, settings), settings.feed.batch_size
        feed = fit.feed_of(model, settings, dataset, 0)
        model.fit(
            feed.training,
            steps_per_epoch=feed.steps,
            epochs=EPOCHS,
            validation_data=feed.validation,
            verbose=0,
        )
    peak, total = memory.peak(), predicted.total(batch_size)
    most = max(predicted.activations(batch_size).values())
    sizes = (predicted.program, predicted.weights, most, total, peak)
    names = ("program_gb", "weights_gb", "activations_gb", "predicted_gb", "peak_gb")
    figures = {key: round(value / GIGA, 2) for key, value in zip(names, sizes, strict=True)}
    return {**figures, "ratio": round(total / peak, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", type=Path)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--one", action="store_true", help="measure in this process, as JSON")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.cases[0])))
        return
    for name in given.cases:
        size, batch_size, *_ = CASES[name]
        case = {"network": name, "size": size, "batch_size": batch_size}
        keep(given.csv, COLUMNS, [{**case, **in_own_process(name)}])


def in_own_process(name: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "none.csv", "--one", "--cases", name],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-1500:]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
