"""flexunet ui: the MLflow UI on the project's store, on this machine only."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import time
import webbrowser

from omegaconf import DictConfig

from flexunet_exp import job
from flexunet_exp.errors import InputError
from flexunet_exp.store import Store, artifact_location, ui_address

log = logging.getLogger(__name__)

START_SECONDS = 60


def main() -> None:
    """The command."""
    job.run_app("ui", task)


def task(cfg: DictConfig) -> None:
    if not cfg.tracking.uri:
        raise InputError(
            "tracking=none has no store to show. Use tracking=local or tracking=server."
        )
    store = Store(cfg.tracking.uri, cfg.tracking.experiment_name)
    address = ui_address(store, cfg.port)
    if artifact_location(store.uri) is None:
        log.info("The server shows itself at %s", address)
        return
    if is_listening(cfg.port):
        raise InputError(f"Port {cfg.port} is taken. Choose another one: flexunet ui port=5001")
    # Without its job runners the UI is two processes instead of ten.
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONWARNINGS": "ignore"}
    server = subprocess.Popen(server_command(store, cfg.port), env={**os.environ, **quiet})
    try:
        wait_until_listening(server, cfg.port)
        log.info("Runs: %s   (Ctrl-C ends)", address)
        if cfg.open_browser and sys.stdout.isatty():
            webbrowser.open(address)
        server.wait()
    except KeyboardInterrupt:
        log.info("Closed.")
    finally:
        server.terminate()
        server.wait(timeout=30)


def server_command(store: Store, port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "mlflow", "ui"),
        *("--backend-store-uri", store.uri),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--uvicorn-opts", "--log-level warning"),
    ]


def wait_until_listening(server: subprocess.Popen, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_listening(port):
        if server.poll() is not None or time.monotonic() > deadline:
            raise InputError(f"The MLflow UI did not start (exit status {server.poll()}).")
        time.sleep(0.2)


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
