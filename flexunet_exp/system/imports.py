"""Keras is imported without packages that it may lack, which shortens a command's start."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Keras imports these only for `keras.wrappers` and `keras.visualization`, and does without where
# they are missing: a third of its import (docs/measured/speed.md).
UNUSED_BY_COMMANDS = ("sklearn", "matplotlib.pyplot")

LEFT_OUT: set[str] = set()  # what Keras is imported without in this process


def for_a_command() -> None:
    """Lets this process import Keras without the packages that no command uses of it.

    The Python interface does not call this: a notebook may want `keras.wrappers`.
    """
    LEFT_OUT.update(UNUSED_BY_COMMANDS)


@contextmanager
def leaving_out() -> Iterator[None]:
    """Within it, the modules of `LEFT_OUT` seem not to be installed, unless they are imported.

    Afterwards they can be imported as ever.
    """
    hidden = [name for name in LEFT_OUT if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's mark of a missing module
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
