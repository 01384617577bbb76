"""Runs a flexunet command that kills itself: `python kill_at.py module:function NTH train …`.

SIGKILL comes when the function is called for the NTH time, before it does anything.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys


def main() -> int:
    target, nth, *arguments = sys.argv[1:]
    arm(target, int(nth))
    from flexunet_exp import cli

    return cli.main(arguments)


def arm(target: str, nth: int) -> None:
    module_name, _, path = target.partition(":")
    owner = importlib.import_module(module_name)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    function = getattr(owner, name)
    calls = 0

    def deadly(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    setattr(owner, name, deadly)


if __name__ == "__main__":
    sys.exit(main())
