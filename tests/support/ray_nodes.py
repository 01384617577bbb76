"""A real cluster of Ray on this machine: each node is a `ray start` with a core and a host name."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

from tests.support import running
from tests.support.serving_store import free_port

RAY = Path(sys.executable).with_name("ray")
SIZE = ("--num-cpus=1", "--object-store-memory=100000000", "--node-ip-address=127.0.0.1")


class Node:
    """A node and all of its processes, which share a session: Ray's own, and the workers.

    The node has a host name of its own where this user may give it one, as root may on Linux.
    """

    def __init__(self, name: str, *words: str):
        self.name = name
        self.process = subprocess.Popen(
            [*as_host(name), RAY, "start", "--block", "--disable-usage-stats", *SIZE, *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def pids(self) -> list[int]:
        listed = subprocess.run(
            ["ps", "-o", "pid=", "-s", str(self.process.pid)], capture_output=True, text=True
        )
        return [int(pid) for pid in listed.stdout.split()]

    def signal(self, number: int) -> None:
        """Sends a signal to all processes of the node at once."""
        for pid in self.pids():
            send(pid, number)

    def kill(self) -> None:
        """Kills every process of the node, and waits until none is left."""
        while self.pids():
            self.signal(signal.SIGKILL)
            self.process.poll()  # else its zombie would be listed for ever
            time.sleep(0.05)
        self.process.wait()


class Cluster:
    """A head and other nodes, which end with the `with` block; workers and state with them."""

    def __init__(self, nodes: int):
        self.folder, self.port = Path(mkdtemp(prefix="ray_")), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.size, self.nodes = nodes, []

    def __enter__(self) -> Cluster:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self) -> None:
        head = ("--head", f"--port={self.port}", f"--temp-dir={self.folder}")
        self.add(Node("head", *head, "--include-dashboard=false"))
        for number in range(1, self.size):
            self.add(Node(f"node{number}", f"--address={self.address}"))

    def add(self, node: Node) -> None:
        """Adds a node once it has started: of two that start together, one may time out."""
        self.nodes.append(node)
        running.wait_until(lambda: len(self.raylets()) == len(self.nodes))

    def __exit__(self, *error: object) -> None:
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def head(self) -> Node:
        return self.nodes[0]

    def raylets(self) -> list[Path]:
        """The sockets of the nodes that have started."""
        return list(self.folder.glob("session_latest/sockets/raylet*"))

    def living(self) -> list[int]:
        return [pid for node in self.nodes for pid in node.pids()]

    def node_of(self, pid: int) -> Node:
        return next(node for node in self.nodes if pid in node.pids())


def as_host(name: str) -> list[str]:
    """The words before a command that give it a host name; none where this user may not."""
    words = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name]
    try:
        done = subprocess.run([*words, "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return []
    return words if done.returncode == 0 else []


def send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def holder(path: Path) -> int | None:
    """The process that has a file open, such as the lock of a run that it trains."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink() == path:
                return int(link.parts[2])
        except OSError:  # it has ended, or closed the file
            continue
    return None
