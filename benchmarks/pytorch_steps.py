"""python benchmarks/pytorch_steps.py CSV --torch PYTHON [--models NAME …] [--sizes 256 512]
[--rounds 3] [--eager]: seconds of a training step here and of the same network in PyTorch.

PYTHON has torch. The network's layers are listed from Keras and rebuilt in PyTorch
(`pytorch_network.py`), which compares the number of parameters. Both train with cross-entropy and
Adam on the same random pictures, without other metrics. Every setting is a process of its own; all
settings of a model run in turn, in so many rounds, and the median of these is kept. `--eager`
leaves out torch.compile, which takes minutes for a large network. Rows that the CSV has are not
measured again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent))

from composing import compose  # noqa: E402
from model_steps import keep, rows_of, step_seconds  # noqa: E402

from flexunet_exp.config import building
from flexunet_exp.config.compose import plain
from flexunet_exp.models.graph import calls_of
from flexunet_exp.system import tensorflow
from flexunet_exp.system.tensorflow import ProcessSettings

HERE = Path(__file__).resolve()
MODELS = ("flexunet_small", "attention_unet", "flexunet", "u2net")
BATCH, CLASSES, STEPS = 4, 6, 6
OURS = ("float32", "mixed_bfloat16")
THEIRS, MODES = ("float32", "bfloat16"), ("eager", "compiled")
COLUMNS = ("model", "size", "program", "precision", "mode", "seconds")


def built(name: str, size: int, precision: str):
    cfg = compose(f"model={name}", f"trainer.precision={precision}", "loss=cross_entropy")
    tensorflow.prepare(ProcessSettings.from_config(cfg))
    return cfg, building.build(cfg.model, input_shape=(size, size, 3), num_classes=CLASSES)


def spec(name: str, size: int) -> dict:
    """The network's calls, from the image to the logits, for `pytorch_network.py`."""
    _, model = built(name, size, "float32")
    listed = calls_of(model, model.inputs).listed
    places = {id(call.outputs[0]): number for number, call in enumerate(listed)}
    calls = [
        {
            "kind": type(call.operation).__name__,
            "config": call.operation.get_config(),
            "inputs": [places[id(one)] for one in call.inputs],
            "channels": call.inputs[0].shape[-1] if call.inputs else 3,
        }
        for call in listed
    ]
    shape = {"size": size, "batch": BATCH, "steps": STEPS}
    return {"calls": calls, "parameters": model.count_params(), **shape}


def ours(name: str, size: int, precision: str) -> dict[str, float]:
    """Seconds of a training step here."""
    cfg, model = built(name, size, precision)
    model.compile(
        building.build(cfg.optimizer), building.build({**plain(cfg.loss), "class_weights": None})
    )
    return {"seconds": step_seconds(model, size, BATCH, STEPS, 2)}


def last_json(words: list[str]) -> dict:
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measured(
    name: str, size: int, torch_python: str, rounds: int, modes: Sequence[str]
) -> list[dict]:
    me = [sys.executable, str(HERE), "none.csv", "--models", name, "--sizes", str(size), "--one"]
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "spec.json"
        path.write_text(json.dumps(last_json([*me, "spec"])))
        them = [torch_python, str(HERE.with_name("pytorch_network.py")), str(path)]
        commands = {("here", precision, ""): [*me, precision] for precision in OURS}
        theirs = itertools.product(THEIRS, modes)
        commands |= {("pytorch", *how): [*them, *how] for how in theirs}
        times: dict[tuple, list[float]] = {key: [] for key in commands}
        for _ in range(rounds):
            for key, words in commands.items():
                times[key].append(last_json(words)["seconds"])
    head = {"model": name, "size": size}
    return [
        {**head, "program": who, "precision": precision, "mode": mode,
         "seconds": round(median(found), 3)}
        for (who, precision, mode), found in times.items()
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", type=Path)
    parser.add_argument("--torch", help="a Python that has torch")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--sizes", nargs="+", type=int, default=[256])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--eager", action="store_true")
    parser.add_argument("--one", help="spec, or a precision: in this process, as JSON")
    given = parser.parse_args()
    if given.one:
        name, size = given.models[0], given.sizes[0]
        found = spec(name, size) if given.one == "spec" else ours(name, size, given.one)
        print(json.dumps(found))
        return
    if not given.torch:
        parser.error("give --torch PYTHON, a Python that has torch")
    modes = MODES[:1] if given.eager else MODES
    for size in given.sizes:
        for name in given.models:
            if (name, str(size)) not in rows_of(given.csv):
                keep(given.csv, COLUMNS, measured(name, size, given.torch, given.rounds, modes))


if __name__ == "__main__":
    main()
