"""Checks that the options and choices of a sweep or a search exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config import compose
from flexunet_exp.errors import did_you_mean
from flexunet_exp.jobs.explain import lacking_choices


def problems(cfg: DictConfig, loader: Any, key: str, values: Iterable[Any]) -> Iterator[str]:
    """A message if the key is not an option, and for each value that is not a file of its group."""
    choices = loader.get_group_options(key)
    if not choices:
        if OmegaConf.select(cfg, key, default=...) is ...:
            known = [
                *leaves(compose.plain(OmegaConf.masked_copy(cfg, sections(cfg)))),
                *groups(cfg),
            ]
            section, _, name = key.rpartition(".")
            lacking = lacking_choices(section, name, "train")
            yield lacking or f"{key} is not an option.{did_you_mean(key, known)}"
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
