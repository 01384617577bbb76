"""Finds slow tests: those that reach tests/support/running.py, which starts commands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import running

CLEANER = "nothing_left_running"  # a fixture of all tests, which ends the commands they started


def starts_commands(item: pytest.Item) -> bool:
    """Whether a test, a fixture it asks for or a function they call starts a command."""
    fixtures = item._fixtureinfo.name2fixturedefs
    functions = [found[-1].func for name, found in fixtures.items() if name != CLEANER]
    functions.append(item.function)
    return any(map(reaches_running, functions))


def reaches_running(function: Any, seen: set[int] | None = None) -> bool:
    seen = set() if seen is None else seen
    if id(function) in seen:
        return False
    seen.add(id(function))
    for used in globals_used(function):
        if used is running or getattr(used, "__module__", None) == running.__name__:
            return True
        is_of_tests = getattr(used, "__module__", None) == getattr(function, "__module__", "")
        if is_of_tests and callable(used) and reaches_running(used, seen):
            return True
    return False


def globals_used(function: Any) -> Iterator[Any]:
    """The globals of its module that a function, or a class's methods, use."""
    if isinstance(function, type):
        methods = [each for each in vars(function).values() if hasattr(each, "__code__")]
        for method in methods:
            yield from globals_used(method)
        return
    function = getattr(function, "__wrapped__", function)
    code = [getattr(function, "__code__", None)]
    while code:
        if (one := code.pop()) is None:
            continue
        code += [each for each in one.co_consts if hasattr(each, "co_names")]
        known = getattr(function, "__globals__", {})
        yield from (known[name] for name in one.co_names if name in known)
