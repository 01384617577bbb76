"""A run on disk: its folder, how it ended, who works in it.

`load` is a promise to registered models of earlier versions, see `flexunet_exp.EARLIER_MODULES`.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "load":
        from flexunet_exp.runs.folder import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
