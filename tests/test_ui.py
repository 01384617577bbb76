"""The UI: on this machine only, on the project's store, with a link that lands on the runs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from flexunet_exp.store import Store


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(folder, *words: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "flexunet_exp", "ui", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def listening_addresses(port: int) -> set[str]:
    """Local addresses that a socket listens at on this port, as Linux's table writes them."""
    table = Path("/proc/net/tcp")
    rows = [line.split() for line in table.read_text().splitlines()] if table.exists() else []
    listening = [row[1].split(":") for row in rows[1:] if row[3] == "0A"]
    return {address for address, at in listening if int(at, 16) == port}


def test_it_serves_the_runs_on_the_loopback_address_and_closes_on_ctrl_c(tmp_path, port):
    store = Store(f"sqlite:///{tmp_path}/mlruns/mlflow.db", "flexunet")
    run_id = store.create_run("first", {})
    ui = start(tmp_path, f"port={port}")
    try:
        lines = []
        deadline = time.monotonic() + 90
        while not any("Runs:" in line for line in lines):
            assert time.monotonic() < deadline and ui.poll() is None, "".join(lines)
            lines.append(ui.stdout.readline())
        link = lines[-1].split()[1]
        assert link.startswith(f"http://127.0.0.1:{port}/#/experiments/{store.experiment_id}/runs")
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/api/2.0/mlflow/runs/get?run_id={run_id}", timeout=30
        ) as answer:
            assert json.load(answer)["run"]["info"]["run_name"] == "first"
        assert listening_addresses(port) <= {"0100007F"}  # 127.0.0.1
    finally:
        ui.send_signal(signal.SIGINT)
        printed, _ = ui.communicate(timeout=60)
    assert ui.returncode == 0 and "Traceback" not in printed


def test_a_taken_port_is_one_sentence(tmp_path, port):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        ui = start(tmp_path, f"port={port}")
        printed, _ = ui.communicate(timeout=60)
    assert ui.returncode == 1
    assert f"Port {port} is taken" in printed and "Traceback" not in printed


def test_without_a_store_there_is_nothing_to_show(tmp_path):
    ui = start(tmp_path, "tracking=none")
    printed, _ = ui.communicate(timeout=60)
    assert ui.returncode == 1 and "has no store to show" in printed
