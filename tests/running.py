"""Real commands in real folders, and what they leave there and in the store."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from flexunet_exp.store import Store

STARTED: list[subprocess.Popen] = []  # conftest.py kills what is left of them


def start(folder: Path, *command: str) -> subprocess.Popen:
    """Starts `python command …` in a folder, which is made if need be."""
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    STARTED.append(process)
    return process


def run(folder: Path, *command: str) -> subprocess.CompletedProcess:
    """Runs `python command …` to its end; both outputs are in `stdout`."""
    process = start(folder, *command)
    output, _ = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, output)


def start_flexunet(folder: Path, *words: str) -> subprocess.Popen:
    return start(folder, "-m", "flexunet_exp", *words)


def flexunet(folder: Path, *words: str) -> subprocess.CompletedProcess:
    """Runs a command to its end, in a process that has imported TensorFlow and MLflow already."""
    folder.mkdir(exist_ok=True)
    reading, writing = os.pipe()
    wanted = {"folder": str(folder), "words": words, "environment": dict(os.environ)}
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(prepared())
        socket.send_fds(server, [json.dumps(wanted).encode()], [writing])
        os.close(writing)
        with open(reading, errors="replace") as output:
            printed = output.read()
        pid, status = server.makefile().read().split()
    return subprocess.CompletedProcess([pid, *words], int(status), printed)


@cache
def prepared() -> str:
    """The socket of a process that starts commands; it ends with this one."""
    path = Path(tempfile.gettempdir(), f"flexunet_tests_{os.getpid()}")
    path.unlink(missing_ok=True)
    program = Path(__file__).with_name("prepared.py")
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen([sys.executable, program, path], env=quiet)
    wait_until(lambda: path.exists() or process.poll() is not None)
    assert process.poll() is None
    return str(path)


def train(folder: Path, *words: str) -> subprocess.CompletedProcess:
    return flexunet(folder, "train", *words)


def wait_until(holds: Callable[[], object], seconds: float = 120) -> None:
    """Waits for what another process does; fails after so many seconds."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.05)


def store(folder: Path) -> Store:
    return Store(f"sqlite:///{folder}/mlruns/mlflow.db", "flexunet")


def all_runs(folder: Path) -> list:
    return store(folder).runs("", "attributes.start_time ASC", limit=100)


def metrics_of(folder: Path, run) -> Counter:
    """How often the store has each (metric, step, value) of a run."""
    client = store(folder).client
    histories = (client.get_metric_history(run.info.run_id, key) for key in run.data.metrics)
    return Counter((m.key, m.step, m.value) for history in histories for m in history)


def images_of(folder: Path, run) -> Counter:
    """How often the store has a file of a run for each (slider, step)."""
    files = store(folder).client.list_artifacts(run.info.run_id, "images")
    return Counter("+".join(file.path.split("+")[:3]) for file in files)


def weights(run_folder: Path) -> list[np.ndarray]:
    import keras

    return keras.saving.load_model(run_folder / "best.keras", compile=False).get_weights()


def same_weights(first: Path, second: Path) -> bool:
    """Whether two run folders hold the same network, bit by bit."""
    return all(map(np.array_equal, weights(first), weights(second)))
