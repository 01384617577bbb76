"""Work in threads: in order, and no further ahead than asked; in the background; in places."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from flexunet_exp.system.parallel import Background, Places, in_threads


def test_no_more_than_a_few_are_begun_ahead_of_what_is_taken():
    begun = []
    results = in_threads(lambda item: item, map(lambda n: begun.append(n) or n, range(100)), 2, 3)
    for taken in range(20):
        assert next(results) == taken
        assert len(begun) <= taken + 1 + 3
    results.close()
    assert len(begun) < 30


def test_the_background_runs_one_function_after_the_other():
    background, may_end, done = Background(), Event(), []
    background.start(lambda: may_end.wait() and done.append(1))
    assert not done  # it runs, and its owner goes on
    may_end.set()
    background.start(lambda: done.append(2))
    background.wait()
    assert done == [1, 2]
    background.close()


def test_the_owner_gets_an_error_of_the_background_once():
    background = Background()
    background.start(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        background.wait()
    background.wait()
    background.close()


def test_as_many_threads_as_there_are_places_run_at_once():
    places, met = Places(2), Barrier(2)

    def meet(_: int) -> None:
        with places.taken(is_alone=False):
            met.wait(10)  # raises unless two are here

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(meet, range(8)))


def test_one_that_is_alone_runs_beside_no_other_and_several_such_end():
    places, present, seen = Places(2), [], []

    def run(number: int) -> None:
        is_alone = number % 3 == 0
        with places.taken(is_alone):
            present.append(is_alone)
            seen.append((is_alone, len(present)))
            Event().wait(0.002)
            present.remove(is_alone)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(60)))
    assert {count for is_alone, count in seen if is_alone} == {1}
    assert max(count for _, count in seen) == 2


def test_a_place_is_free_again_after_an_error():
    places = Places(2)
    for is_alone in (True, False, False):
        with pytest.raises(ZeroDivisionError), places.taken(is_alone):
            raise ZeroDivisionError
    with places.taken(is_alone=True):
        pass


def test_an_interrupt_while_it_waits_takes_no_place(monkeypatch):
    places = Places(2)
    acquire, seen = places.free.acquire, []

    def interrupted() -> bool:
        seen.append(1)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return acquire()

    monkeypatch.setattr(places.free, "acquire", interrupted)
    with pytest.raises(KeyboardInterrupt), places.taken(is_alone=True):
        pass
    monkeypatch.undo()
    assert [acquire(blocking=False) for _ in range(3)] == [True, True, False]
