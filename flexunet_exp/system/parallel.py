"""Work in threads: in order, a few results ahead of the consumer; in the background; in places."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, ahead: int
) -> Generator[Result, None, None]:
    """function(item) of each item, in order; at most `ahead` results wait to be taken."""
    with ThreadPoolExecutor(threads) as pool:
        begun: deque[Future[Result]] = deque()
        for item in items:
            begun.append(pool.submit(function, item))
            if len(begun) > ahead:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


def on_all_cores(
    function: Callable[[Item], Result], items: Iterable[Item]
) -> Generator[Result, None, None]:
    """function(item) of each item, in order, in a thread a core; an end waits for few of them."""
    threads = os.cpu_count() or 1
    return in_threads(function, items, threads, 4 * threads)


class Background:
    """Runs one function at a time in a thread, while its owner goes on."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(1)
        self.running: Future[None] | None = None

    def start(self, function: Callable[[], None]) -> None:
        """Starts a function once the one before has ended; raises what that one raised."""
        self.wait()
        self.running = self.pool.submit(function)

    def wait(self) -> None:
        """Waits for the end of the running function, if there is one; raises what it raised."""
        if self.running is not None:
            wait([self.running])  # a Ctrl-C leaves it running, to be waited for again
            ended, self.running = self.running, None
            ended.result()

    def close(self) -> None:
        self.pool.shutdown()


class Places:
    """So many threads at once, or one that takes all places."""

    def __init__(self, number: int):
        self.number = number
        self.free = threading.Semaphore(number)
        self.entry = threading.Lock()  # no two wait for all places, each with some of them

    @contextmanager
    def taken(self, is_alone: bool) -> Iterator[None]:
        taken = 0  # also where a Ctrl-C comes while this thread waits
        try:
            with self.entry:
                while taken < (self.number if is_alone else 1):
                    self.free.acquire()
                    taken += 1
            yield
        finally:
            for _ in range(taken):
                self.free.release()
