"""Calls from several threads, done together: while one batch is worked on, the next one gathers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Gathered(Generic[Item, Result]):
    """A function of one item, from a function of up to `most` items, which runs once at a time.

    An item never waits for others to come: a batch is what came while the batch before it ran.
    """

    def __init__(self, together: Callable[[list[Item]], Sequence[Result]], most: int):
        self.together, self.most = together, most
        self.waiting: deque[tuple[Item, Future[Result]]] = deque()
        self.turn = threading.Lock()

    def __call__(self, item: Item) -> Result:
        """The item's result; raises what `together` raises for its batch."""
        own: Future[Result] = Future()
        self.waiting.append((item, own))
        while not own.done():  # the batch whose turn it is may be one of earlier items alone
            with self.turn:
                if not own.done():
                    self.run()
        return own.result()

    def run(self) -> None:
        """Does the items that came first; their own threads return the results."""
        batch = [self.waiting.popleft() for _ in range(min(self.most, len(self.waiting)))]
        try:
            results = self.together([item for item, _ in batch])
        except BaseException as error:
            for _, future in batch:
                future.set_exception(error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                future.set_result(result)
