"""Python's garbage collection while a command starts.

Importing TensorFlow, MLflow and pandas makes a million objects that stay until the process ends;
tracing a training step makes many that stay as long as the network. Every full collection in
between searches all of them, which took a tenth of a training's start (docs/measured/speed.md).
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def pause() -> None:
    """Turns collection off until `resume`."""
    gc.disable()


def resume() -> None:
    """Turns collection on again."""
    gc.enable()


def resume_after_start() -> None:
    """Turns collection on again, if it is off; it will not search the objects that exist now."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


@contextmanager
def importing(module: str) -> Iterator[None]:
    """No collection while a large module is imported; what was garbage before is collected first.

    Changes nothing where the module is imported already.
    """
    if module in sys.modules:
        yield
        return
    gc.collect()
    pause()
    try:
        yield
    finally:
        resume_after_start()
