"""Progress of long work: a bar on a terminal, elsewhere a log line every few seconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

SECONDS = 10  # between two lines


@contextmanager
def displayed(total: int) -> Iterator[Callable[[int], None]]:
    """Yields a function to call with the number of pictures done, of `total`."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        yield Lines(total)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    columns = (MofNCompleteColumn(), BarColumn(), TextColumn("{task.fields[rate]}"), Left())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total, rate="")
        started = time.monotonic()

        def update(done: int) -> None:
            rate = done / max(1e-9, time.monotonic() - started)
            progress.update(task, completed=done, rate=f"{rate:.1f} pictures/s")

        yield update


class Lines:
    """Logs the number of pictures done, at most a line every SECONDS."""

    def __init__(self, total: int):
        self.total = total
        self.started = self.last = time.monotonic()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if now - self.last < SECONDS:
            return
        self.last = now
        rate = done / (now - self.started)
        left = duration((self.total - done) / rate) if done else "?"
        log.info("%d of %d pictures, %.1f a second, %s left", done, self.total, rate, left)


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
