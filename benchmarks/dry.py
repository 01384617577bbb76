"""python benchmarks/dry.py [CELLS]: seconds that `dry=true` takes for a sweep of that many cells
(504) whose store holds a finished run for every second one, beside a bare start of the command."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from composing import compose

from flexunet_exp.config import identity
from flexunet_exp.data import dataset as datasets
from flexunet_exp.system.tensorflow import ProcessSettings
from flexunet_exp.tracking.store import EFFORT, MINUTES, SCORING, SIGNATURE, Store

LOSSES = ("ce_dice", "cross_entropy", "dice", "focal", "focal_tversky", "lovasz_softmax", "tversky")
MODELS = ("attention_unet", "flexunet", "flexunet_small")
SEEDS = 24  # 504 cells
METRICS = 60  # that a run ends with


def words(folder: Path) -> list[str]:
    return ["dataset=grid", "dataset/layout=synthetic", f"data_root={folder / 'data'}"]


def sweep(folder: Path, seeds: int) -> list[str]:
    """The words after `flexunet train`."""
    axes = [f"model={','.join(MODELS)}", f"loss={','.join(LOSSES)}", f"trainer.seed=range({seeds})"]
    return ["-m", *axes, *words(folder), "dry=true"]


def fill(folder: Path, seeds: int) -> None:
    """Finished runs for every second cell, as training leaves them."""
    store = Store(f"sqlite:///{folder}/mlruns/mlflow.db", "flexunet")
    digest = datasets.load(compose(*words(folder))).digest
    for model in MODELS:
        for loss in LOSSES:
            cfg = compose(*words(folder), f"model={model}", f"loss={loss}")
            for seed in range(0, seeds, 2):
                cfg.trainer.seed = seed
                signature = identity.signature(
                    cfg, digest, ProcessSettings.from_config(cfg).num_threads
                )
                scoring, effort = identity.scoring_signature(cfg), identity.effort(cfg)
                tags = {SIGNATURE: signature, SCORING: scoring, EFFORT: effort, MINUTES: "3.5"}
                run_id = store.create_run(f"{model} {loss}", tags)
                metrics = [(f"val/figure{number}", 0.5, 1, 0) for number in range(METRICS)]
                store.log_metrics(run_id, [*metrics, ("val/dice", 0.5, 1, 0)])
                store.end_run(run_id, "FINISHED")


def seconds(folder: Path, *command: str) -> tuple[float, float, str]:
    """Wall-clock and processor seconds of a command, and its output."""
    started, used = time.perf_counter(), processor_seconds()
    done = subprocess.run(
        [sys.executable, "-m", "flexunet_exp", "train", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return time.perf_counter() - started, processor_seconds() - used, done.stdout


def processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    seeds = int(sys.argv[1]) // (len(LOSSES) * len(MODELS)) if len(sys.argv) > 1 else SEEDS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, seeds)
        bare, bare_used, _ = seconds(folder, "--cfg", "job")
        took, used, printed = min(seconds(folder, *sweep(folder, seeds)) for _ in range(3))
        print(printed.splitlines()[-1])
        print(f"{took:.1f} s, of the processor {used:.1f} s")
        print(f"--cfg job beside it: {bare:.1f} s, of the processor {bare_used:.1f} s")


if __name__ == "__main__":
    main()
