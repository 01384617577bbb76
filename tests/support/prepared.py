"""`python prepared.py SOCKET`: starts commands whose imports are done already.

Importing TensorFlow and MLflow takes longer than a tiny training. This process does it once, then
forks itself for every command. A command has a process, folder, environment and output of its own,
as if it had been started alone. This process ends when the process that started it does.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from pathlib import Path

from flexunet_exp.config import weights_code
from flexunet_exp.config.compose import PACKAGE
from flexunet_exp.system import tensorflow
from tests.support import empty_store

MODULES = (
    *("mlflow.tensorflow", "mlflow.artifacts", "sklearn.metrics", "scipy"),
    "mlflow.store.tracking.sqlalchemy_store",
    *("hydra", "pandas", "cv2", "matplotlib.figure", "matplotlib.backends.backend_agg"),
    *("PIL.Image", "rich.table"),
)
LONGEST = 1_000_000  # bytes of a command with its environment


def serve(path: str) -> list[str]:
    """Answers connections in turn; returns, in a forked process, the command to run."""
    parent = os.getppid()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no one waits for children
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        server.settimeout(1)
        while True:
            try:
                client, _ = server.accept()
            except TimeoutError:
                if os.getppid() != parent:
                    os.unlink(path)
                    sys.exit()
                continue
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                return answer(client)
            client.close()


def answer(client: socket.socket) -> list[str]:
    """Sends the command's process id and exit status; returns, in the fork, the command."""
    message, (output,), _, _ = socket.recv_fds(client, LONGEST, 1)
    if (pid := os.fork()) == 0:
        client.close()
        return become(json.loads(message), output)
    os.close(output)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command
    client.sendall(pid.to_bytes(8, "little"))
    _, status = os.waitpid(pid, 0)
    client.sendall(os.waitstatus_to_exitcode(status).to_bytes(8, "little", signed=True))
    os._exit(0)


def become(wanted: dict, output: int) -> list[str]:
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.close(output)
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    return wanted["command"]


def run(command: list[str]) -> None:
    """As `python command …` would: `-m module …` or `program.py …`."""
    if command[0] == "-m":
        sys.argv = command[1:]
        sys.path[0] = os.getcwd()
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = command
        sys.path[0] = str(Path(command[0]).parent)
        runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    tensorflow.load()
    for module in MODULES:
        importlib.import_module(module)
    empty_store.use_copies()
    weights_code.digest(PACKAGE, ())  # keeps the syntax trees, which every command needs
    gc.freeze()  # memory shared with the commands stays shared
    run(serve(sys.argv[1]))
