"""`python kill_at.py SIGNAL module:function NTH train …`: a flexunet command that kills itself.

The signal comes when the function is called for the NTH time, before it does anything.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys


def main() -> int:
    name, target, nth, *arguments = sys.argv[1:]
    arm(target, int(nth), signal.Signals[name])
    from flexunet_exp import cli

    return cli.main(arguments)


def arm(target: str, nth: int, number: signal.Signals = signal.SIGKILL) -> None:
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
            os.kill(os.getpid(), number)
        return function(*args, **kwargs)

    setattr(owner, name, deadly)


if __name__ == "__main__":
    sys.exit(main())
