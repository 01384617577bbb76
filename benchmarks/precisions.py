"""python benchmarks/precisions.py RUN_FOLDER: prediction in float32 beside mixed_bfloat16.

On all pictures of a finished run: how far masks and scores agree, and seconds a picture of the bare
forward pass in turn; then the same speed for the original network (125 million weights, 512 px).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from composing import compose  # noqa: E402

PRECISIONS = ("float32", "mixed_bfloat16")
ROUNDS, BATCH = 5, 4


def main() -> None:
    from flexunet_exp.prediction.networks import load_network, prepare_process
    from flexunet_exp.runs import folder

    run = folder.load(Path(sys.argv[1]))
    prepare_process(run)
    agreement(run)
    networks = {name: load_network(run, name) for name in PRECISIONS}
    print("this network", speed(networks, run.cfg.dataset.image_size))
    print("original network, 512 px", speed(original(), 512))


def agreement(run) -> None:
    """Masks of every picture in both precisions, and the macro Dice of each over its test split."""
    from omegaconf import OmegaConf

    from flexunet_exp.data import dataset as datasets
    from flexunet_exp.data.masks import read_image
    from flexunet_exp.prediction import predictor
    from flexunet_exp.prediction.networks import load
    from flexunet_exp.scores import confusions

    data = datasets.from_table(run.cfg, datasets.read_table(run.samples))
    samples = list(datasets.rows(data.table))
    masks = {}
    for precision in PRECISIONS:
        network = load([run], OmegaConf.create({"precision": precision}))
        pictures = (read_image(sample.image) for sample in samples)
        masks[precision] = [
            predictor.collect(bands, (sample.height, sample.width)).mask
            for sample, bands in zip(samples, network.predictor(pictures), strict=True)
        ]
    same = [np.mean(a == b) for a, b in zip(*masks.values(), strict=True)]
    agree = f"{np.mean(same):.4%} of the pixels agree, at least {min(same):.3%}"
    print(f"{len(samples)} pictures: {agree}")
    for precision, predicted in masks.items():
        counts = np.stack(
            [
                confusions.confusion(data.layout.read_mask(sample), mask, data.num_classes)
                for sample, mask in zip(samples, predicted, strict=True)
                if sample.split == "test"
            ]
        )
        print(
            precision, f"test macro Dice {confusions.summary(counts, data.class_names)['dice']:.4f}"
        )


def original() -> dict:
    import keras

    from flexunet_exp.config import building

    cfg = compose("experiment=seed_zipper")
    networks = {}
    for precision in PRECISIONS:
        keras.config.set_dtype_policy(precision)
        networks[precision] = building.build(cfg.model, input_shape=(512, 512, 3), num_classes=8)
    return networks


def speed(networks: dict, size: int) -> str:
    """Seconds a picture, the precisions in turn."""
    batch = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 3), np.uint8)
    times: dict[str, list[float]] = {name: [] for name in networks}
    for network in networks.values():
        network.predict_on_batch(batch)
    for _ in range(ROUNDS):
        for name, network in networks.items():
            started = time.perf_counter()
            network.predict_on_batch(batch)
            times[name].append((time.perf_counter() - started) / BATCH)
    medians = {name: median(values) for name, values in times.items()}
    ratio = medians["mixed_bfloat16"] / medians["float32"]
    shown = ", ".join(f"{name} {value:.4f} s" for name, value in medians.items())
    return f"{shown}, ratio {ratio:.2f}"


if __name__ == "__main__":
    main()
