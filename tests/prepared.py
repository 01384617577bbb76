"""`python prepared.py SOCKET`: starts commands whose imports are done already.

Importing TensorFlow and MLflow takes longer than a tiny training. This process does it once, then
forks itself for every command: it has a process, folder, environment and output of its own, as if
it had been started by itself. It ends when the process that started it does.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import socket
import sys

MODULES = (
    *("tensorflow", "keras", "mlflow.tensorflow", "mlflow.artifacts", "sklearn.metrics", "scipy"),
    *("hydra", "pandas", "cv2", "matplotlib.figure", "matplotlib.backends.backend_agg"),
    *("PIL.Image", "rich.table"),
)
LONGEST = 1_000_000  # bytes of a command with its environment


def serve(path: str) -> list[str]:
    """Answers one command after the other; returns, in the forked process, with what to run."""
    parent = os.getppid()
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
            message, (output,), _, _ = socket.recv_fds(client, LONGEST, 1)
            if (pid := os.fork()) == 0:
                client.close()
                return become(json.loads(message), output)
            os.close(output)
            client.sendall(f"{pid}\n".encode())
            _, status = os.waitpid(pid, 0)
            client.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
            client.close()


def become(wanted: dict, output: int) -> list[str]:
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.close(output)
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    return wanted["words"]


if __name__ == "__main__":
    for module in MODULES:
        importlib.import_module(module)
    sys.argv = ["flexunet_exp", *serve(sys.argv[1])]
    sys.path[0] = os.getcwd()
    runpy.run_module("flexunet_exp", run_name="__main__", alter_sys=True)
