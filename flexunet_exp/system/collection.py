"""Python's garbage collection while a command starts, or reads many runs of a store.

Importing TensorFlow, MLflow and pandas makes a million objects that stay until the process ends;
tracing a training step makes many that stay as long as the network. Every full collection in
between searches all of them, which took a tenth of a training's start (docs/measured/speed.md).
MLflow makes 200 objects for each run that it lists, none of which needs a collection to be freed;
the collections took two thirds of a listing's time (docs/measured/stores.md).
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
def paused() -> Iterator[None]:
    """No collection meanwhile; on afterwards if it was on."""
    was_on = gc.isenabled()
    pause()
    try:
        yield
    finally:
        if was_on:
            resume()


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
