"""Runs real commands in real folders, and reads their results there and in the store."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Timer

import numpy as np

from flexunet_exp.tracking.store import Store

SUPPORT = Path(__file__).parent  # where the programs lie that tests run
ROOT = SUPPORT.parents[1]
KILL_AT = SUPPORT / "kill_at.py"
STARTED: list[Command] = []  # conftest.py kills those that still run


class Command:
    """`python command …` in a folder, which is made where it is missing.

    `command` is `-m module …` or `program.py …`. It runs in a process that has imported TensorFlow
    and MLflow already; `stdout` has both its outputs.
    """

    def __init__(self, folder: Path, *command: str):
        folder.mkdir(exist_ok=True)
        self.command, self.returncode = command, None
        reading, writing = os.pipe()
        wanted = {"folder": str(folder), "command": command, "environment": dict(os.environ)}
        self.server = socket.socket(socket.AF_UNIX)
        self.server.connect(prepared())
        socket.send_fds(self.server, [json.dumps(wanted).encode()], [writing])
        os.close(writing)
        self.stdout = os.fdopen(reading, errors="replace")
        self.pid = self.number()
        STARTED.append(self)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        """The exit status as subprocess has it; None while the command runs."""
        return self.status(0)

    def wait(self, timeout: float = 300) -> int:
        if self.status(timeout) is None:
            raise subprocess.TimeoutExpired(self.command, timeout)
        return self.returncode

    def status(self, timeout: float) -> int | None:
        if self.returncode is None and select.select([self.server], [], [], timeout)[0]:
            self.returncode = self.number()
            self.server.close()
        return self.returncode

    def number(self) -> int:
        told = self.server.recv(8)
        assert len(told) == 8, "the process that starts commands is gone"
        return int.from_bytes(told, "little", signed=True)

    def communicate(self, timeout: float = 300) -> tuple[str, None]:
        """Waits for the end of the command; returns its output since the last call."""
        watch = Timer(timeout, self.kill)
        watch.start()
        with self.stdout:
            printed = self.stdout.read()
        watch.cancel()
        self.wait()
        return printed, None


def start_flexunet(folder: Path, *words: str) -> Command:
    return Command(folder, "-m", "flexunet_exp", *words)


def ended(command: Command) -> subprocess.CompletedProcess:
    """Waits for the command's end; returns its exit status and output."""
    printed, _ = command.communicate()
    return subprocess.CompletedProcess(command.command, command.returncode, printed)


def flexunet(folder: Path, *words: str) -> subprocess.CompletedProcess:
    return ended(start_flexunet(folder, *words))


def signalled(
    folder: Path, name: str, function: str, nth: int, *words: str
) -> subprocess.CompletedProcess:
    """A command that got the signal `name` when `function` was called for the nth time."""
    return ended(Command(folder, str(KILL_AT), name, function, str(nth), *words))


def python(folder: Path, code: str, *arguments: str) -> subprocess.CompletedProcess:
    """`python -c code …` in a process that has imported nothing."""
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        timeout=300,
    )


@cache
def prepared() -> str:
    """The socket of a process that starts commands; it ends with this one."""
    path = Path(tempfile.gettempdir(), f"flexunet_tests_{os.getpid()}")
    path.unlink(missing_ok=True)
    program = SUPPORT / "prepared.py"
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, program, path], env=quiet)
    wait_until(lambda: path.exists() or process.poll() is not None)
    assert process.poll() is None
    return str(path)


def train(folder: Path, *words: str) -> subprocess.CompletedProcess:
    return flexunet(folder, "train", *words)


def wait_until(holds: Callable[[], object], seconds: float = 120) -> None:
    """Waits until `holds()` is true, through another process; fails after `seconds`."""
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
    """Whether two run folders have the same network, bit by bit."""
    return all(map(np.array_equal, weights(first), weights(second)))
