"""Presets of sweeps: their axes, and the check for wrong axes and contradicting presets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config import compose
from flexunet_exp.config.overrides import unresolved
from flexunet_exp.errors import InputError
from flexunet_exp.sweeps import options


def params(cfg: DictConfig) -> dict[str, Any]:
    """`hydra.sweeper.params`, resolved: axis → its values in Hydra's grammar."""
    return compose.plain(cfg.hydra.sweeper.get("params") or OmegaConf.create())


def check(cfg: DictConfig, loader: Any) -> None:
    """Raises InputError for wrong axes, and for two presets that contradict each other.

    Two presets contradict if both set an axis, or if one lists cells and one searches: Hydra would
    use the last one without a message, and the sweep would lack cells.
    """
    words = [*unresolved(cfg.hydra.overrides.hydra), *unresolved(cfg.hydra.overrides.task)]
    name = cfg.hydra.job.config_name
    defaults = loader.compute_defaults_list(name, words, RunMode.MULTIRUN)
    _, files = loader._parse_overrides_and_create_caching_repo(name, words)  # hydra.searchpath too
    axes: dict[str, list[str]] = {}
    searches: list[str] = []
    lists: list[str] = []
    for entry in defaults.defaults:
        file = entry.config_path and files.load_config(entry.config_path)
        sweeper = OmegaConf.select(file.config, "hydra.sweeper") if file else None
        if not isinstance(sweeper, DictConfig) or entry.config_path.startswith("hydra/"):
            continue
        lists += [entry.config_path] if sweeper.get("params") else []
        searches += [entry.config_path] if sweeper.get("space") else []
        for axis in (*(sweeper.get("params") or ()), *(sweeper.get("space") or ())):
            axes.setdefault(axis, []).append(entry.config_path)
    problems = [
        f"{' and '.join(setting)} both sweep over {axis}: choose one of them."
        for axis, setting in axes.items()
        if len(setting) > 1
    ]
    if "space" not in cfg.hydra.sweeper:  # a search checks its own
        problems += axis_problems(cfg, loader)
    if searches and lists:
        problems.append(f"{searches[0]} searches a space and {lists[0]} lists cells: choose one.")
    if problems:
        raise InputError(problems)


def axis_problems(cfg: DictConfig, loader: Any) -> Iterator[str]:
    """The problems of the axes: without a value, not an option, not a choice.

    Hydra would report one at a time, after the parent run was created in the store.
    """
    given = [f"{axis}={values}" for axis, values in params(cfg).items()]
    words = [*given, *unresolved(cfg.hydra.overrides.task)]
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(words)
    axes = [(axis, list(axis.sweep_string_iterator())) for axis in parsed if is_list(axis)]
    yield from (
        f"{axis.input_line} has no value, and the sweep would have no cell. Give it a value."
        for axis, values in axes
        if not values
    )
    chosen = {axis.key_or_group: names(values) for axis, values in axes}
    there = {key: set(loader.get_group_options(key)).intersection(chosen[key]) for key in chosen}
    first = [f"{key}={min(known)}" for key, known in there.items() if known]
    fixed = [axis.input_line for axis in parsed if not axis.is_sweep_override()]
    hydra_words = unresolved(cfg.hydra.overrides.hydra)
    whole = loader.load_configuration(
        cfg.hydra.job.config_name, [*hydra_words, *fixed, *first], RunMode.RUN
    )
    for key, values in chosen.items():
        yield from options.problems(whole, loader, key, values)


def is_list(axis: Override) -> bool:
    """Whether an axis lists values of an existing option, and does not add an option."""
    return axis.is_discrete_sweep() and axis.type == OverrideType.CHANGE and not axis.package


def names(values: Iterable[str]) -> list[str]:
    """The values that can be choices of a group: neither null nor a list of them."""
    return [value.strip("'\"") for value in values if value != "null" and value[0] != "["]
