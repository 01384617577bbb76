"""Builds what a `_target_` names, from the packages that a configuration may use."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import os
from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig

from flexunet_exp.config.compose import plain
from flexunet_exp.errors import InputError

# What a configuration may build. A configuration may come from somebody else: without this list
# `_target_: os.system` would run. $FLEXUNET_TRUSTED (a,b,c) adds a person's own packages by name.
TRUSTED = ("flexunet_exp.", "keras.optimizers.", "keras.losses.", "keras.callbacks.")


def is_trusted(target: str) -> bool:
    names = map(str.strip, os.environ.get("FLEXUNET_TRUSTED", "").split(","))
    return target.startswith(TRUSTED + tuple(f"{name}." for name in names if name))


def locate(target: str) -> Callable[..., Any]:
    """The class or function that a `_target_` names.

    Raises InputError if it is not trusted, or cannot be imported.
    """
    if not is_trusted(target):
        raise InputError(
            f"_target_ {target!r} is not among the packages a configuration may use "
            f"({', '.join(TRUSTED)}). Trust a package of your own with FLEXUNET_TRUSTED=NAME."
        )
    module, _, name = target.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InputError(f"_target_ {target!r} cannot be imported: {error}.") from error


def build(node: DictConfig | dict, **context: Any) -> Any:
    """Calls the node's `_target_` with its arguments, and with those of `context` it accepts."""
    arguments = dict(plain(node) if isinstance(node, DictConfig) else node)
    target = locate(arguments.pop("_target_"))
    asked = inspect.signature(target).parameters
    given = {name: value for name, value in context.items() if name in asked}
    return target(**arguments, **given)
