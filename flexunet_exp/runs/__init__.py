"""A run on disk: its folder, its outcome, and the process that works in it.

Registered models of earlier versions import `load` from here: `flexunet_exp.EARLIER_MODULES`.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "load":
        from flexunet_exp.runs.folder import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
