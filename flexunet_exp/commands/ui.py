"""flexunet ui: the MLflow UI on the project's store, on this machine only."""

from __future__ import annotations

import http.client
import logging
import os
import secrets
import socket
import subprocess
import sys
import time
import webbrowser

from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config import validation
from flexunet_exp.errors import InputError
from flexunet_exp.jobs import app
from flexunet_exp.tracking.address import artifact_location
from flexunet_exp.tracking.store import COLUMN_KINDS, Store, ui_address

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
PORTS = range(5000, 5100)  # where port=null looks for a free one
MARK = "X-Flexunet-Ui"  # the header that identifies the server started here
START_SECONDS = 60
QUIET = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # two processes instead of ten
    "PYTHONWARNINGS": "ignore",
}


def main() -> None:
    """The command."""
    app.run_app("ui", task)


def task(cfg: DictConfig) -> None:
    check(cfg)
    store = Store(cfg.tracking.uri, cfg.tracking.experiment_name, create=False)
    if cfg.columns:
        store.share_columns(cfg.columns)
    if artifact_location(store.uri) is None:
        log.info("The server has its own UI: %s", ui_address(store, store.uri, cfg.columns))
        return
    try:
        for port in PORTS if cfg.port is None else [cfg.port]:
            if is_free(port) and serve(store, port, cfg):
                return
    except KeyboardInterrupt:
        log.info("Closed.")
        return
    if cfg.port is None:
        raise InputError(f"The ports {PORTS[0]} to {PORTS[-1]} are taken. Try port=8000")
    raise InputError(f"Port {cfg.port} is taken. Leave out port=, and a free one is found.")


def check(cfg: DictConfig) -> None:
    """Raises InputError with every problem of the configuration."""
    problems = []
    if not cfg.tracking.uri:
        problems.append(
            "tracking=none has no store to show. Use tracking=local or tracking=server."
        )
    problems += validation.own_problems(cfg, "ui")
    if not OmegaConf.is_list(cfg.columns):
        problems.append(
            f"columns={cfg.columns} is not a list. Try columns=[params.loss] or columns=[]"
        )
        raise InputError(problems)
    problems += [
        f"columns: {column!r} is not a column of the runs table. Try params.loss or "
        "metrics.val/dice"
        for column in cfg.columns
        if not str(column).startswith(tuple(f"{kind}." for kind in COLUMN_KINDS))
    ]
    if problems:
        raise InputError(problems)


def serve(store: Store, port: int, cfg: DictConfig) -> bool:
    """Shows the store until the server ends; False if another program took the port first."""
    mark = secrets.token_hex(8)
    server = subprocess.Popen(server_command(store, port, mark), env={**os.environ, **QUIET})
    try:
        if not came_up(server, port, mark):
            return False
        address = ui_address(store, f"http://{HOST}:{port}", cfg.columns)
        log.info("Runs: %s   (Ctrl-C ends)", address)
        if cfg.open_browser and sys.stdout.isatty():
            webbrowser.open(address)
        server.wait()
        return True
    finally:
        server.terminate()
        server.wait(timeout=30)


def server_command(store: Store, port: int, mark: str) -> list[str]:
    return [
        *(sys.executable, "-m", "mlflow", "ui"),
        *("--backend-store-uri", store.uri),
        *("--host", HOST, "--port", str(port), "--workers", "1"),
        *("--uvicorn-opts", f"--log-level warning --header {MARK}:{mark}"),
    ]


def came_up(server: subprocess.Popen, port: int, mark: str) -> bool:
    """Waits for the server; False if it ended because another program took the port."""
    deadline = time.monotonic() + START_SECONDS
    while not answers(port, mark):
        if server.poll() is not None and not is_free(port):
            return False
        if server.poll() is not None or time.monotonic() > deadline:
            raise InputError(f"The MLflow UI did not start (exit status {server.poll()}).")
        time.sleep(0.2)
    return True


def answers(port: int, mark: str) -> bool:
    """Whether the server that answers at the port has this mark."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().getheader(MARK) == mark
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def is_free(port: int) -> bool:
    """Whether a server can listen at the port; tries it by listening."""
    with socket.socket() as probe:
        # The server sets this too: connections of a server that just ended do not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen()
        except OSError:
            return False
        return True
