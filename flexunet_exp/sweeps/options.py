"""The options that a sweep or a search goes over: whether there are such, and such choices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config import compose
from flexunet_exp.errors import did_you_mean


def problems(cfg: DictConfig, loader: Any, key: str, values: Iterable[Any]) -> Iterator[str]:
    """Why a key names no option of the configuration, or a value no file of its group."""
    choices = loader.get_group_options(key)
    if not choices:
        if OmegaConf.select(cfg, key, default=...) is ...:
            known = [
                *leaves(compose.plain(OmegaConf.masked_copy(cfg, sections(cfg)))),
                *groups(cfg),
            ]
            yield f"{key} is no option.{did_you_mean(key, known)}"
        return
    for value in values:
        if str(value) not in choices:
            hint = did_you_mean(str(value), choices)
            yield f"{key}: there is no {key}={value}.{hint} There are: {', '.join(choices)}"


def sections(cfg: DictConfig) -> list[str]:
    return [str(key) for key in cfg if key != "hydra"]


def groups(cfg: DictConfig) -> list[str]:
    return [str(key) for key in cfg.hydra.runtime.choices]


def leaves(node: Any, key: str = "") -> Iterator[str]:
    """The dotted names of all settings."""
    if not isinstance(node, dict):
        yield key
        return
    for name, child in node.items():
        yield from leaves(child, f"{key}.{name}".lstrip("."))
