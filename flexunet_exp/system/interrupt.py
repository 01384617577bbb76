"""Keeps a Ctrl-C that Python would lose.

Python raises KeyboardInterrupt at any place of the main thread; a destructor or a library's
callback may swallow it. `requested` keeps the request, so that the next step can act on it.
"""

from __future__ import annotations

import os
import signal
import stat
import threading
from contextlib import suppress
from types import FrameType

requested = threading.Event()


def listen() -> None:
    """Handles Ctrl-C, a closed terminal and SIGTERM alike.

    A signal that is ignored stays so: a shell lets background jobs ignore Ctrl-C, nohup lets them
    ignore a closed terminal.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    signal.signal(signal.SIGTERM, interrupt)


def interrupt(signal_number: int, frame: FrameType | None) -> None:
    if signal_number == signal.SIGHUP:
        leave_terminal()
    requested.set()
    raise KeyboardInterrupt


def leave_terminal() -> None:
    """Sends further output to /dev/null, since writing to a closed terminal is an error."""
    with open(os.devnull, "w") as nowhere:
        for descriptor in (1, 2):
            with suppress(OSError):  # it is closed already
                if stat.S_ISCHR(os.fstat(descriptor).st_mode):  # no file, no pipe
                    os.dup2(nowhere.fileno(), descriptor)


def check() -> None:
    """Raises KeyboardInterrupt if one was requested and lost."""
    if requested.is_set():
        raise KeyboardInterrupt
