"""Calls that are done together: each gets its own result, none waits for calls to come."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from flexunet_exp.system.gathering import Gathered


class Squares:
    """Squares numbers, the first batch only when it may; keeps the batches."""

    def __init__(self):
        self.batches: list[list[int]] = []
        self.begun, self.may_go_on = threading.Event(), threading.Event()

    def __call__(self, numbers: list[int]) -> list[int]:
        self.batches.append(numbers)
        self.begun.set()
        assert self.may_go_on.wait(30)
        if 13 in numbers:
            raise ValueError("13")
        return [number**2 for number in numbers]


def together(squares: Squares, numbers: list[int], most: int) -> list:
    """Calls for all numbers at once, the first one first; results or errors in their order."""
    gathered = Gathered(squares, most)
    with ThreadPoolExecutor(len(numbers)) as pool:
        first = pool.submit(gathered, numbers[0])
        assert squares.begun.wait(30)
        others = [pool.submit(gathered, number) for number in numbers[1:]]
        while len(gathered.waiting) < len(others):  # they have come
            threading.Event().wait(0.01)
        squares.may_go_on.set()
    return [one.exception() or one.result() for one in [first, *others]]


def test_what_comes_during_a_batch_is_the_next_batch():
    squares = Squares()
    assert together(squares, [1, 2, 3, 4, 5, 6], most=4) == [1, 4, 9, 16, 25, 36]
    assert [len(batch) for batch in squares.batches] == [1, 4, 1]


def test_one_call_alone_does_not_wait_for_others():
    squares = Squares()
    squares.may_go_on.set()
    assert Gathered(squares, 8)(7) == 49


def test_an_error_reaches_the_calls_of_its_batch_and_no_others():
    squares = Squares()
    first, *second = together(squares, [1, 13, 3], most=2)
    assert first == 1 and [str(error) for error in second] == ["13", "13"]
    assert Gathered(squares, 2)(4) == 16


def test_many_threads_get_their_own_results():
    squares = Squares()
    squares.may_go_on.set()
    gathered = Gathered(squares, 3)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(gathered, range(100, 600))) == [n**2 for n in range(100, 600)]
    assert max(map(len, squares.batches)) <= 3


def test_an_interrupt_reaches_the_caller():
    def interrupted(_: list[int]) -> list[int]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Gathered(interrupted, 2)(1)
