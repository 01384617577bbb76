"""python benchmarks/store_away.py: what a store that is away costs an epoch, and its outbox later.

A real MLflow server on PostgreSQL, its artifacts through its proxy, all on this machine. It is
killed, made to hang, and started again; an epoch sends 30 metrics and four panels.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from flexunet_exp.tracking.settings import TrackingSettings  # noqa: E402
from flexunet_exp.tracking.tracker import Tracker  # noqa: E402
from tests.support.serving_store import Postgres, Server  # noqa: E402

EPOCHS, METRICS, PANELS, SHAPE = 60, 30, 4, (128, 400, 3)


def main() -> None:
    database = Postgres()
    with tempfile.TemporaryDirectory() as scratch:
        server = Server(Path(scratch), database.uri)
        try:
            server.start()
            measure(Path(scratch), server)
        finally:
            server.kill()
            database.stop()


def measure(scratch: Path, server: Server) -> None:
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    tracker = begin(scratch / "run", server)
    say("an epoch, server there", seconds(lambda: epoch(tracker, 1), lambda: epoch(tracker, 2)))
    server.kill()
    say("an epoch, server killed", seconds(lambda: epoch(tracker, 3), lambda: epoch(tracker, 4)))
    server.start()
    say("the epoch in which it is back", seconds(lambda: epoch(tracker, 5)))
    server.signal(signal.SIGSTOP)
    say("an epoch, server hung", seconds(lambda: epoch(tracker, 6)))
    say("the epochs after it", seconds(lambda: epoch(tracker, 7), lambda: epoch(tracker, 8)))
    server.signal(signal.SIGCONT)
    tracker.next_attempt = 0.0
    tracker.upload()

    server.kill()
    tracker = begin(scratch / "long", server)
    say(
        f"writing {EPOCHS} epochs", seconds(*[lambda n=n: epoch(tracker, n) for n in range(EPOCHS)])
    )
    number = tracker.outbox.num_left() if tracker.outbox else 0
    server.start()
    tracker.next_attempt = 0.0
    say(f"uploading them, {number} entries", seconds(tracker.upload))


def begin(folder: Path, server: Server) -> Tracker:
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "panel.png")
    tracker = Tracker(TrackingSettings(server.uri, "away"), folder.name, folder)
    tracker.begin({})
    tracker.upload()
    return tracker


def epoch(tracker: Tracker, step: int) -> None:
    tracker.metrics({f"epoch/{number}": 0.5 for number in range(METRICS)}, step)
    for number in range(PANELS):
        tracker.image(f"panel-{number}", tracker.folder / "panel.png", step)
    tracker.commit()
    tracker.upload()


def seconds(*calls: Callable[[], object]) -> list[float]:
    found = []
    for call in calls:
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return found


def say(what: str, found: list[float]) -> None:
    listed = "" if len(found) > 3 else f"  ({', '.join(f'{one:.3f}' for one in found)})"
    print(f"{what:<36}{sum(found):8.3f} s{listed}", flush=True)


if __name__ == "__main__":
    main()
