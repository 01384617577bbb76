"""Experiments in multiclass defect segmentation, composed by Hydra, tracked in MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flexunet_exp.api import compare as compare
    from flexunet_exp.api import load_run as load_run

__version__ = "0.1.0"

# Imported at the first use: name → the module that defines it.
PUBLIC = {"compare": "flexunet_exp.api.comparison", "load_run": "flexunet_exp.api.run"}

# Models registered before the package had folders contain their own code. It runs
# `from flexunet_exp import predict, regions, runs, trained`, and uses predict.collect,
# regions.find, regions.Region, runs.load (see flexunet_exp.runs), trained.load and
# trained.prepare_process. These names must stay, or such models cannot be loaded.
EARLIER_MODULES = {
    "predict": "flexunet_exp.prediction.predictor",
    "regions": "flexunet_exp.prediction.regions",
    "trained": "flexunet_exp.prediction.networks",
}


def __getattr__(name: str) -> Any:
    if name not in PUBLIC and name not in EARLIER_MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name in EARLIER_MODULES:
        return import_module(EARLIER_MODULES[name])
    return getattr(import_module(PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *PUBLIC])
