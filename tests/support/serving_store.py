"""A real MLflow server on a real PostgreSQL, on loopback, that a test can kill and start again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import pytest

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin")) + sorted(
    Path("/opt/homebrew/opt").glob("postgresql@*/bin")
)
USER = "postgres"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Postgres:
    """A database cluster in a folder of its own; PostgreSQL refuses to run as root."""

    def __init__(self) -> None:
        if not BINARIES:
            pytest.skip("no PostgreSQL here: apt-get install postgresql")
        self.folder, self.port = Path(mkdtemp(prefix="flexunet_pg")), free_port()
        if os.getuid() == 0:
            shutil.chown(self.folder, USER)
        self.run("initdb", "-D", "data", "-U", USER, "--auth=trust", "-E", "UTF8", "--no-sync")
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder} -c fsync=off"
        self.run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")

    @property
    def uri(self) -> str:
        return f"postgresql+psycopg2://{USER}@127.0.0.1:{self.port}/postgres"

    def run(self, program: str, *words: str) -> None:
        as_user = ["runuser", "-u", USER, "--"] if os.getuid() == 0 else []
        command = [*as_user, str(BINARIES[-1] / program), *words]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, timeout=120)

    def stop(self) -> None:
        self.run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)


class Server:
    """`mlflow server` on a database, artifacts through its proxy, always at the same address."""

    def __init__(self, folder: Path, database: str):
        self.folder, self.database, self.port = folder, database, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--workers", "1", "--serve-artifacts"]
        command += ["--backend-store-uri", self.database]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        with (self.folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            )
        self.wait()

    def wait(self) -> None:
        for _ in range(600):
            with suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=5):
                return
            time.sleep(0.2)
        raise TimeoutError((self.folder / "server.log").read_text()[-3000:])

    def signal(self, number: int) -> None:
        """Sends a signal to the server and its workers."""
        if self.process:
            os.killpg(self.process.pid, number)

    def kill(self) -> None:
        if self.process:
            self.signal(signal.SIGKILL)
            self.process.wait()
            self.process = None
