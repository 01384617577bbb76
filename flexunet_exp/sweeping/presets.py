"""Presets of sweeps: the categories on this disk, and presets that contradict each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, ListConfig, OmegaConf

from flexunet_exp import config
from flexunet_exp.errors import Abort, InputError


def categories(*, _root_: DictConfig) -> str:
    """The names of the categories whose folder is there, as a sweep: `grid,screw`.

    The resolver of `${categories:}`. Candidates are the choices of `dataset=`; where each would
    lie says `dataset.path`, so that every layout is looked up in its own way.
    """
    from hydra.core.global_hydra import GlobalHydra

    names = GlobalHydra.instance().config_loader().get_group_options("dataset")
    places = {name: place_of(name, _root_) for name in names}
    found = [name for name, place in places.items() if place.is_dir()]
    looked = places[names[0]]
    if len(set(places.values())) == 1:
        problem = (
            f"dataset.path={looked} is one folder; sweep=categories looks for all of them below "
            "data_root. Leave dataset.path out, or the preset."
        )
    elif not found:
        problem = (
            f"sweep=categories found no category: looked in {looked.parent} for "
            f"{', '.join(names)}. Set data_root=FOLDER (or $FLEXUNET_DATA), or another layout such "
            "as dataset/layout=image_mask"
        )
    else:
        return ",".join(found)
    raise Abort(InputError(problem))  # OmegaConf wraps an Exception in its own words


def place_of(name: str, cfg: DictConfig) -> Path:
    """The folder where a category would lie."""
    trial = OmegaConf.masked_copy(cfg, ["data_root", "dataset"])
    trial.dataset.name = name
    return Path(trial.dataset.path).expanduser().absolute()


def params(cfg: DictConfig) -> dict[str, Any]:
    """`hydra.sweeper.params`, resolved: axis → its values in Hydra's grammar."""
    return config.plain(cfg.hydra.sweeper.get("params") or OmegaConf.create())


def typed(words: ListConfig) -> list[str]:
    """Overrides as they were typed: a `${…}` in them can have no value yet."""
    return cast(list[str], OmegaConf.to_container(words, resolve=False))


def check(cfg: DictConfig, loader: Any) -> None:
    """Raises InputError where two of the chosen files set the same axis, or lists and a search.

    Hydra lets the last one win, in silence, and the sweep lacks cells.
    """
    from hydra.types import RunMode

    words = [*typed(cfg.hydra.overrides.hydra), *typed(cfg.hydra.overrides.task)]
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
    if searches and lists:
        problems.append(f"{searches[0]} searches a space and {lists[0]} lists cells: choose one.")
    if problems:
        raise InputError(problems)
