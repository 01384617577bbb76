"""Work in threads: in order, and no further ahead than asked."""

from __future__ import annotations

from flexunet_exp.system.parallel import in_threads


def test_no_more_than_a_few_are_begun_ahead_of_what_is_taken():
    begun = []
    results = in_threads(lambda item: item, map(lambda n: begun.append(n) or n, range(100)), 2, 3)
    for taken in range(20):
        assert next(results) == taken
        assert len(begun) <= taken + 1 + 3
    results.close()
    assert len(begun) < 30
