"""python benchmarks/serving.py RUN PICTURE [REQUESTS] [CLIENTS]: how fast a served model answers.

Registers the run folder RUN in a store of its own, serves it with `mlflow models serve`, and posts
PICTURE as base64 from CLIENTS threads at once, REQUESTS times in all; then from one alone. Prints
seconds, requests a second, latencies in milliseconds, and how many requests were lost or refused.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from flexunet_exp.tracking import registry
from flexunet_exp.tracking.store import RUN_FOLDER, Store

NAME = "benchmark"


def register(run: Path, uri: str) -> None:
    store = Store(uri, "flexunet")
    run_id = store.create_run("benchmark", {RUN_FOLDER: str(run)})
    started = time.perf_counter()
    version = registry.register(store, run_id, run, NAME, "val/dice")
    print(f"registered in {time.perf_counter() - started:.1f} s")
    registry.crown(store, version, None, "to be measured")


@contextmanager
def server(uri: str) -> Iterator[str]:
    """The address of the served champion."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    binaries = str(Path(sys.executable).parent)
    environment = {"MLFLOW_TRACKING_URI": uri, "PATH": f"{binaries}:{os.environ['PATH']}"}
    started = time.perf_counter()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "models", "serve"),
            *("-m", f"models:/{NAME}@{registry.CHAMPION}", "--env-manager", "local"),
            *("--host", "127.0.0.1", "--port", port),
        ],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while not answers(f"http://127.0.0.1:{port}/ping"):
            assert process.poll() is None, "the server did not start"
            time.sleep(0.1)
        print(f"answers {time.perf_counter() - started:.1f} s after its start")
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        print(f"peak memory of the server: {peak_megabytes(process.pid):.0f} MB")
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def peak_megabytes(group: int) -> float:
    """The largest peak among the processes of a group."""
    peaks = [0.0]
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if os.getpgid(int(status.parent.name)) == group:
                (line,) = (row for row in status.read_text().splitlines() if "VmHWM" in row)
                peaks.append(int(line.split()[1]) / 1000)
        except (OSError, ValueError):
            continue
    return max(peaks)


def measure(address: str, body: bytes, requests: int, clients: int) -> None:
    def post(_: int) -> float:
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        started = time.perf_counter()
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                (prediction,) = json.load(answer)["predictions"]
        except OSError:
            return float("nan")
        assert prediction["mask"]
        return time.perf_counter() - started

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        latencies = np.array(list(pool.map(post, range(requests)))) * 1000
    took = time.perf_counter() - started
    middle, high = np.nanpercentile(latencies, [50, 95])
    print(
        f"{clients:7} {requests:9} {took:9.1f} {requests / took:11.2f} {middle:8.0f} {high:8.0f} "
        f"{np.isnan(latencies).sum():6}"
    )


def main() -> None:
    run, picture = (Path(word).absolute() for word in sys.argv[1:3])
    requests, clients = map(int, (sys.argv[3:] + ["100", "8"][len(sys.argv[3:]) :])[:2])
    record = {"image": base64.b64encode(picture.read_bytes()).decode()}
    body = json.dumps({"dataframe_records": [record]}).encode()
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{folder}/mlruns/mlflow.db"
        register(run, uri)
        with server(uri) as address:
            print("clients  requests   seconds  requests/s   p50 ms   p95 ms   lost")
            measure(address, body, requests, clients)
            measure(address, body, max(1, requests // 5), 1)


if __name__ == "__main__":
    main()
