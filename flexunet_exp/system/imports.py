"""TensorFlow's import, made shorter: its libraries ahead of it, and Keras without what it may lack.

Nothing here changes what is computed.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Thread

# Keras imports these only for `keras.wrappers` and `keras.visualization`, and does without where
# they are missing: a third of its import (docs/measured/speed.md).
UNUSED_BY_COMMANDS = ("sklearn", "matplotlib.pyplot")
LIBRARIES = ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2")  # in the order of their needs
RTLD_NOW = 2  # as in dlfcn.h

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


@cache  # once a process
def load_ahead() -> Thread | None:
    """Begins to load TensorFlow's libraries in a thread; None where there is nothing to load.

    `import` loads them too, but holds Python's lock meanwhile, so that no other thread runs. On a
    machine with GPUs the libraries print as they are loaded: there the import loads them.
    """
    files = [] if "tensorflow" in sys.modules or has_gpu() else libraries()
    if not files:
        return None
    thread = Thread(target=load, args=(files,), name="load TensorFlow's libraries")
    thread.start()
    return thread


def wait_for_libraries() -> None:
    """Waits for the thread that `load_ahead` began, if it did."""
    if load_ahead.cache_info().currsize and (thread := load_ahead()):
        thread.join()


def load(files: list[Path]) -> None:
    """Loads shared libraries; one that cannot be loaded is left to the import, and its error."""
    library = ctypes.CDLL(None)
    library.dlopen.argtypes = ctypes.c_char_p, ctypes.c_int
    library.dlopen.restype = ctypes.c_void_p
    for file in files:
        library.dlopen(str(file).encode(), RTLD_NOW)


def libraries() -> list[Path]:
    """TensorFlow's shared libraries; empty if one is missing. TensorFlow is not imported."""
    spec = importlib.util.find_spec("tensorflow")
    folders = spec.submodule_search_locations if spec else None
    files = [Path(folders[0]) / name for name in LIBRARIES] if folders else []
    return files if all(file.is_file() for file in files) else []


def has_gpu() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*"))
