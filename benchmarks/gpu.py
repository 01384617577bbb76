"""python benchmarks/gpu.py [--minutes 8] [--torch PYTHON] [--page FILE]: what this program gives on
a GPU; prints tables and writes docs/measured/gpu.md.

Three parts, each in processes of their own, within the minutes given; what the time did not allow
is listed as not run.
- Steps of the original network of `experiment=seed_zipper`, by batch, precision and XLA, and of the
  same network in PyTorch where PYTHON has torch with CUDA.
- Trainings with `trainer=gpu`: quickstart; seed_zipper on generated zippers, with the share of an
  epoch that waits for input.
- Equal results: a training that is killed and goes on, beside one that was not, both
  deterministic; export and infer of it.

`--tiny` uses small networks and pictures, and no GPU: it shows that the program works.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

PAGE = ROOT / "docs" / "measured" / "gpu.md"
NOT_RUN = "not run: no time left"
KILL_AT = ROOT / "tests" / "support" / "kill_at.py"
SECOND_STATE = "flexunet_exp.training.state:Keeper.write"
BATCHES, LARGEST = (2, 8), 1024
PRECISIONS = ("mixed_float16", "float32", "tf32", "mixed_bfloat16")
STEPS, UNCOUNTED = 10, 3
SMALL = (
    *("dataset=zipper", "dataset/layout=synthetic", "dataset.image_size=64"),
    *(
        "dataset.layout.images_per_class=4",
        "dataset.layout.good_images=4",
        "dataset.layout.size=64",
    ),
    *("model=flexunet_small", "model.num_layers=3", "trainer.epochs=3", "trainer.batch_size=4"),
    *("~callbacks.epoch_images", "tracking=none"),
)


@dataclass
class Clock:
    """The time that is left."""

    end: float

    @property
    def left(self) -> float:
        return max(0.0, self.end - time.monotonic())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--torch", help="a Python that has torch with CUDA")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--tiny", action="store_true", help="small, and without a GPU")
    parser.add_argument("--steps", type=float, help=argparse.SUPPRESS)  # seconds; in this process
    given = parser.parse_args()
    if given.steps:
        for row in steps(given.tiny, Clock(time.monotonic() + given.steps)):
            print(json.dumps(row), flush=True)
        return
    if not given.tiny and not (name := gpu_name()):
        raise SystemExit(
            "TensorFlow finds no GPU here (tensorflow[and-cuda] installs its libraries). "
            "Type --tiny --page FILE to see that the program works."
        )
    device = "no GPU (--tiny)" if given.tiny else name
    clock = Clock(time.monotonic() + 60 * given.minutes)
    with tempfile.TemporaryDirectory() as scratch:
        text = "\n\n".join(page(device, given, clock, Path(scratch)))
    given.page.write_text(text + "\n")
    print(text)


def gpu_name() -> str:
    asked = "import tensorflow as tf; g = tf.config.list_physical_devices('GPU'); print(tf.config.experimental.get_device_details(g[0])['device_name'] if g else '')"  # fmt: skip # noqa: E501
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True)
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


def page(device: str, given: argparse.Namespace, clock: Clock, scratch: Path) -> Iterator[str]:
    yield "# On a GPU"
    yield f"Written by `python benchmarks/gpu.py` on {time.strftime('%Y-%m-%d')}: {device}."
    yield "## Training steps of the network of `seed_zipper`"
    rows = step_rows(given.tiny, Clock(time.monotonic() + 0.45 * clock.left))
    yield table(("batch", "precision", "XLA", "seconds", "images a second", "peak GB"), rows)
    if given.torch:
        yield table(("PyTorch", "mode", "batch", "seconds"), torch_rows(given, clock))
    yield "## Trainings and results"
    yield table(("what", "seconds", "found"), list(commands(given.tiny, clock, scratch)))


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


# === Steps ===


def step_rows(tiny: bool, clock: Clock) -> list[tuple]:
    words = [sys.executable, str(Path(__file__).resolve()), "--steps", f"{clock.left:.0f}"]
    try:
        done = subprocess.run(
            [*words, *["--tiny"] * tiny], capture_output=True, text=True, timeout=clock.left + 60
        )
        printed, trouble = done.stdout, done.stderr if done.returncode else ""
    except subprocess.TimeoutExpired as late:
        printed, trouble = (late.stdout or b"").decode(), "a step took longer than the time left"
    rows = [tuple(json.loads(line).values()) for line in printed.splitlines() if line[:1] == "{"]
    return [*rows, *[("", last_line(trouble), "", "", "", "")] * bool(trouble)]


def steps(tiny: bool, clock: Clock) -> Iterator[dict]:
    """A row for each case, the most telling first, while there is time."""
    cases = [(batch, precision, True) for precision in PRECISIONS for batch in BATCHES]
    cases += [(8, precision, False) for precision in PRECISIONS]
    for batch, precision, xla in cases:
        yield step_row(batch, precision, xla, tiny, clock)
    batch, row = 16, {}
    while clock.left and batch <= (16 if tiny else LARGEST):
        row = step_row(batch, "mixed_float16", True, tiny, clock)
        yield row
        if not isinstance(row["images a second"], float):
            return
        batch *= 2


def step_row(batch: int, precision: str, xla: bool, tiny: bool, clock: Clock) -> dict:
    head = {"batch": batch, "precision": precision, "xla": "yes" if xla else "no"}
    if not clock.left:
        return {**head, "seconds": NOT_RUN, "images a second": "", "peak": ""}
    import tensorflow as tf

    try:
        seconds, peak = timed_step(batch, precision, xla, tiny)
    except tf.errors.ResourceExhaustedError:
        return {**head, "seconds": "out of memory", "images a second": "", "peak": ""}
    rate = round(batch / seconds, 1)
    return {**head, "seconds": round(seconds, 4), "images a second": rate, "peak": peak}


def timed_step(batch: int, precision: str, xla: bool, tiny: bool) -> tuple[float, float | str]:
    from composing import compose
    from model_steps import step_seconds

    from flexunet_exp.config import building
    from flexunet_exp.config.compose import plain
    from flexunet_exp.system import tensorflow
    from flexunet_exp.system.tensorflow import ProcessSettings

    size = 64 if tiny else 512
    policy = "float32" if precision == "tf32" else precision
    more = ("model.base_filters=4", "model.num_layers=3") if tiny else ()
    cfg = compose("experiment=seed_zipper", f"trainer.precision={policy}", *more)
    tensorflow.prepare(ProcessSettings.from_config(cfg))
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")
    gpus = tf.config.list_logical_devices("GPU")
    if gpus:
        tf.config.experimental.reset_memory_stats("GPU:0")
    model = building.build(cfg.model, input_shape=(size, size, 3), num_classes=8)
    loss = building.build({**plain(cfg.loss), "class_weights": None})
    model.compile(building.build(cfg.optimizer), loss, jit_compile=xla)
    seconds = step_seconds(model, size, batch, 2 if tiny else STEPS, UNCOUNTED)
    peak = tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e9 if gpus else None
    return seconds, "" if peak is None else round(peak, 2)


def torch_rows(given: argparse.Namespace, clock: Clock) -> list[tuple]:
    from pytorch_steps import last_json, spec

    listed = spec("flexunet_small" if given.tiny else "flexunet", 64 if given.tiny else 512)
    rows: list[tuple] = []
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "spec.json"
        for batch in BATCHES:
            path.write_text(json.dumps({**listed, "batch": batch, "steps": STEPS}))
            for precision in ("bfloat16", "float32"):
                for mode in ("compiled", "eager"):
                    where = "cpu" if given.tiny else "cuda"
                    program = str(ROOT / "benchmarks" / "pytorch_network.py")
                    words = [given.torch, program, str(path), precision, mode, where]
                    seconds = last_json(words)["seconds"] if clock.left > 60 else NOT_RUN
                    rows.append((precision, mode, batch, seconds))
    return rows


# === Commands ===


def commands(tiny: bool, clock: Clock, scratch: Path) -> Iterator[tuple[str, str, str]]:
    trainer = "trainer=default" if tiny else "trainer=gpu"
    yield from equal_results(trainer, clock, scratch)
    words = ("experiment=quickstart", trainer, *("trainer.epochs=1",) * tiny)
    folder = scratch / "quickstart"
    seconds, trouble = flexunet(folder, clock, "train", *words)
    yield "quickstart", seconds, trouble or f"test macro Dice {test_dice(folder):.3f}"
    folder = scratch / "zipper"
    words = (
        *("experiment=seed_zipper", "dataset/layout=synthetic", trainer, "dataset.cache=disk"),
        *("trainer.epochs=3", "trainer.profile=true", "trainer.save_every=3", "tracking=none"),
        "~callbacks.epoch_images",
        *SMALL[2:6] * tiny,
        *("model.base_filters=4", "model.num_layers=3") * tiny,
    )
    seconds, trouble = flexunet(folder, clock, "train", *words)
    yield "seed_zipper, three epochs", seconds, trouble or input_share(folder)


def equal_results(trainer: str, clock: Clock, scratch: Path) -> Iterator[tuple[str, str, str]]:
    """A training beside its twin that was killed while it wrote its second state."""
    train = ("train", *SMALL, trainer, "trainer.batch_size=4", "trainer.deterministic=true")
    whole, killed = scratch / "whole", scratch / "killed"
    seconds, trouble = flexunet(whole, clock, *train)
    yield "deterministic training", seconds, trouble or "done"
    if trouble:
        return
    killer = (str(KILL_AT), "SIGKILL", SECOND_STATE, "2")
    flexunet(killed, clock, *train, program=killer)
    was_cut_off = not (run_of(killed) / "result.json").exists()
    seconds, trouble = flexunet(killed, clock, *train)
    found = same_weights(whole, killed) if was_cut_off else "was not killed: shows nothing"
    yield "the same, killed and continued", seconds, trouble or found
    run = f"run={run_of(whole)}"
    for name in ("saved_model", "onnx"):
        seconds, trouble = flexunet(whole, clock, "export", run, f"format={name}")
        yield f"export to {name}", seconds, trouble or "equal to the network"
    pictures = next(run_of(whole).rglob("*.png"))
    words = (run, f"input={pictures}", f"output={whole}/predicted")
    seconds, trouble = flexunet(whole, clock, "infer", *words)
    yield "infer", seconds, trouble or "done"


def flexunet(
    folder: Path, clock: Clock, *words: str, program: Sequence[str] = ("-m", "flexunet_exp")
) -> tuple[str, str]:
    """Seconds of a command that runs in a folder, and why it failed, if it did."""
    folder.mkdir(exist_ok=True)
    if clock.left < 5:
        return "", NOT_RUN
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, *program, *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=clock.left,
        )
    except subprocess.TimeoutExpired:
        return f"{time.monotonic() - started:.1f}", NOT_RUN
    trouble = last_line(done.stderr + done.stdout) if done.returncode else ""
    return f"{time.monotonic() - started:.1f}", trouble


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return f"failed: {lines[-1].replace('|', '/')}" if lines else ""


def run_of(folder: Path) -> Path:
    """The only run that was trained in a folder."""
    (run,) = folder.glob("outputs/*/*")
    return run


def test_dice(folder: Path) -> float:
    return json.loads((run_of(folder) / "evaluation" / "test" / "scores.json").read_text())["dice"]


def input_share(folder: Path) -> str:
    import pandas as pd

    phases = pd.read_csv(run_of(folder) / "profile.csv").set_index("phase").share
    return f"input {phases['input']:.1%} of an epoch, training step {phases['training step']:.1%}"


def same_weights(whole: Path, killed: Path) -> str:
    import keras
    import numpy as np

    first, second = (
        keras.saving.load_model(run_of(folder) / "best.keras", compile=False).get_weights()
        for folder in (whole, killed)
    )
    equal = all(map(np.array_equal, first, second))
    return "weights equal bit for bit" if equal else "the weights differ"


if __name__ == "__main__":
    main()
