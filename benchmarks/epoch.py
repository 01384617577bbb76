"""python benchmarks/epoch.py CHECKOUT…: whole epochs of builds against their bare steps.

Each checkout in turn trains `seed_zipper` on generated pictures in bfloat16: 24 training, 6
validation and 6 epoch pictures of 512 px, a checkpoint and a state in every epoch. Before an epoch,
the same process takes 4 bare training steps and 2 bare passes of two pictures, from which follows
what 24 and 12 samples take. The first two epochs are left out: the first builds the graph, and the
files of the first two are new. A row is valid only where other programs had little of the
processor meanwhile; the last column has it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from whole import ZIPPER

LEFT_OUT, MEASURED = 2, 2
# Takes the place of the run's NaN guard, the first of its callbacks: it measures between the
# epochs, and makes every epoch the best one so far.
BETWEEN = f"""
import json, os, time
from pathlib import Path
import numpy as np
from flexunet_exp.callbacks import NanGuard

STEPS, PASSES, BATCH = 4, 2, 2

def now():
    "Seconds of the clock, of this process, and of all processes."
    busy = [int(n) for n in Path("/proc/stat").read_text().split(maxsplit=8)[1:8]]
    ticks = os.sysconf("SC_CLK_TCK")
    everyone = sum(busy[:3] + busy[5:]) / ticks
    return np.array([time.perf_counter(), time.process_time(), everyone])

class Between(NanGuard):
    def on_train_begin(self, logs=None):
        draw = np.random.default_rng(0)
        shape = (BATCH, 512, 512, 3)
        self.images = draw.integers(0, 256, shape, dtype=np.uint8)
        self.masks = (draw.random(shape[:3]) < 0.03).astype(np.uint8)
        self.epochs, self.bare = [], []

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        if epoch:
            self.epochs.append((now() - self.started).tolist())
        if epoch == {LEFT_OUT + MEASURED}:
            print(json.dumps([self.epochs, self.bare]), flush=True)
            os._exit(0)
        self.bare.append(self.seconds_of_samples().tolist())
        self.started = now()

    def seconds_of_samples(self):
        before = now()
        for _ in range(STEPS):
            self.model.train_on_batch(self.images, self.masks)
        between = now()
        for _ in range(PASSES):
            self.model.predict_on_batch(self.images)
        step, forward = (between - before) / STEPS, (now() - between) / PASSES
        return 24 / BATCH * step + 12 / BATCH * forward

    def on_epoch_end(self, epoch, logs=None):
        logs["val_dice"], logs["val_loss"] = 0.5, 1 / (epoch + 1)
"""


def rows(checkout: Path, home: Path) -> list[str]:
    """A row of the table for each epoch that is measured."""
    (home / "between.py").write_text(BETWEEN)
    words = (*ZIPPER, "trainer.precision=mixed_bfloat16", f"data_root={home}/data")
    own = "callbacks.nan_guard._target_=between.Between"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(checkout), str(home)]),
        "FLEXUNET_TRUSTED": "between",
    }
    command = [sys.executable, "-m", "flexunet_exp", "train", *words, own]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{checkout} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    both = json.loads(done.stdout.splitlines()[-1])
    return [row(*pair) for pair in list(zip(*both, strict=True))[LEFT_OUT:]]


def row(epoch: list[float], bare: list[float]) -> str:
    clock, worked = (spent / floor for spent, floor in zip(epoch[:2], bare[:2], strict=True))
    others = [(everyone - own) / seconds for seconds, own, everyone in (epoch, bare)]
    return (
        f"{epoch[0]:.2f} s | {bare[0]:.2f} s | {clock:.3f} | {worked:.3f} | "
        f"{others[0]:.2f}, {others[1]:.2f}"
    )


def main() -> None:
    print("| build | epoch | bare | ratio of the clock | of the processor | cores of others |")
    print("|---|---:|---:|---:|---:|---:|")
    for checkout in map(Path, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as home:
            for found in rows(checkout.resolve(), Path(home)):
                print(f"| {checkout.name} | {found} |", flush=True)


if __name__ == "__main__":
    main()
