"""python benchmarks/through.py WORDS…: seconds a training sample of a composed experiment, bare
(train_on_batch on one batch) and through the whole pipeline (fit), alternating; a line of JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent))

from composing import compose  # noqa: E402

from flexunet_exp.data import dataset as datasets  # noqa: E402
from flexunet_exp.data.feed.settings import FeedSettings
from flexunet_exp.system import tensorflow  # noqa: E402
from flexunet_exp.system.tensorflow import ProcessSettings
from flexunet_exp.training.settings import TrainingSettings

ROUNDS, STEPS = 3, 5


def main() -> None:
    cfg = compose(*sys.argv[1:])
    tensorflow.prepare(ProcessSettings.from_config(cfg))
    from flexunet_exp.data.feed import feed
    from flexunet_exp.training import fit

    dataset = datasets.load(cfg)
    model = fit.compiled_model(TrainingSettings.from_config(cfg), dataset)
    cfg.trainer.epochs = 100
    batches = feed.feed(FeedSettings.from_config(cfg), dataset).training
    images, masks = next(iter(batches))

    def bare() -> None:
        for _ in range(STEPS):
            model.train_on_batch(images, masks)

    def through() -> None:
        model.fit(batches, steps_per_epoch=STEPS, epochs=1, shuffle=False, verbose=0)

    took: dict = {"bare": [], "pipeline": []}
    for _ in range(ROUNDS + 1):
        for name, action in (("bare", bare), ("pipeline", through)):
            started = time.perf_counter()
            action()
            took[name].append((time.perf_counter() - started) / STEPS / cfg.trainer.batch_size)
    print(json.dumps({name: median(times[1:]) for name, times in took.items()}))


if __name__ == "__main__":
    main()
