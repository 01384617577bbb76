"""python benchmarks/kept_cells.py CSV WORDS…: cells on kept features, beside their bare parts.

A sweep (`flexunet train -m WORDS…`) is trained in this process. Each cell but the first, which
computes the features, is a row of CSV: the seconds from the end of the cell before to its own; of
its training steps, taken alone on one batch; of the validation passes of its epochs, taken alone;
of its scoring, calibration and pictures included, since both use the same predictions; and (steps +
scoring) * 1.25 + 2, which is wanted.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from between import timed

from flexunet_exp import cli
from flexunet_exp.jobs import job
from flexunet_exp.training.attempt import Attempt

COLUMNS = ("cell", "steps", "validation", "scoring", "wanted", "other_work")
WARM, STEPS, PASSES = 3, 20, 2  # single steps; all validation pictures


class Watch:
    """The seconds of the parts of a cell."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self.alone = 0.0  # seconds of the measurements themselves
        self.ends: list[float] = []
        self.rows: list[list[float]] = []

    def fitted(self, fit: Callable[..., Any]) -> Callable[..., Any]:
        def run(model: keras.Model, batches: Any, **options: Any) -> Any:
            done = fit(model, batches, **options)
            started = time.perf_counter()
            epochs = options["epochs"] - options["initial_epoch"]
            step, validation = alone(model, batches, options["validation_data"])
            self.parts["steps"] = step * epochs * options["steps_per_epoch"]
            self.parts["validation"] = validation * epochs
            self.alone = time.perf_counter() - started
            return done

        return run

    def noted(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> None:
            write(*arguments)
            now = time.perf_counter()
            if self.ends:
                whole = now - self.ends[-1] - self.alone
                steps, validation, score = (self.parts[name] for name in COLUMNS[1:4])
                self.rows.append([whole, steps, validation, score, (steps + score) * 1.25 + 2])
            self.ends.append(now)
            self.parts.clear()

        return run


def alone(model: keras.Model, batches: Any, validation: Any) -> tuple[float, float]:
    """Seconds of a training step on one batch, and of a pass over the validation batches.

    The network and its optimizer are afterwards as they were.
    """
    kept = [model.get_weights(), [np.array(one) for one in model.optimizer.variables]]
    inputs, truth = next(iter(batches))  # maps of features, and masks
    seen = [part[0] for part in validation]
    model.predict_on_batch(seen[0])
    for number in range(WARM + STEPS):
        if number == WARM:
            started = time.perf_counter()
        model.train_on_batch(inputs, truth)
    step = (time.perf_counter() - started) / STEPS
    started = time.perf_counter()
    for one in PASSES * seen:
        model.predict_on_batch(one)
    passed = (time.perf_counter() - started) / PASSES
    model.set_weights(kept[0])
    for variable, value in zip(model.optimizer.variables, kept[1], strict=True):
        variable.assign(value)
    return step, passed


def others(ticks: list[float]) -> float:
    """Seconds of the processor that other processes have had since the first call."""
    with open("/proc/stat") as file:
        busy = [int(part) for part in file.readline().split()[1:9]]
    everyone = (sum(busy[:3]) + sum(busy[5:])) / 100
    ticks.append(everyone - time.process_time())
    return ticks[-1] - ticks[0]


def main() -> None:
    table, *words = sys.argv[1:]
    watch, ticks = Watch(), []
    others(ticks)
    keras.Model.fit = watch.fitted(keras.Model.fit)
    Attempt.scored = timed(watch.parts, "scoring", Attempt.scored)
    job.write_outcome = watch.noted(job.write_outcome)
    cli.main(["train", "-m", *words])
    busy = others(ticks)
    with open(table, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([*(f"{one:.2f}" for one in row), f"{busy:.0f}"] for row in watch.rows)
    ratio = np.mean([row[0] / row[4] for row in watch.rows])
    print(f"{len(watch.rows)} cells: {ratio:.2f} of what is wanted, others had {busy:.0f} s")


if __name__ == "__main__":
    main()
