"""Work in threads: in order, and no further ahead than asked; one function in the background."""

from __future__ import annotations

from threading import Event

import pytest

from flexunet_exp.system.parallel import Background, in_threads


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
