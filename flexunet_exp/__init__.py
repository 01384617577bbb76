"""Experiments in multiclass defect segmentation, composed by Hydra, tracked in MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flexunet_exp.api import compare as compare
    from flexunet_exp.api import load_run as load_run

__version__ = "0.1.0"

# Imported when it is asked for: name → the module that defines it.
PUBLIC = {"compare": "flexunet_exp.api.comparison", "load_run": "flexunet_exp.api.run"}


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *PUBLIC])
