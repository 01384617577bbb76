"""The words that our yaml files use in `${word:value}`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from flexunet_exp.errors import Abort, InputError


def register_resolvers() -> None:
    """Makes the words that our yaml files use in `${word:value}` known to OmegaConf."""
    from flexunet_exp.config.resolvers import categories

    resolvers: dict[str, Callable[..., str]] = {
        "upper": lambda name: str(name).upper(),
        "last_part": lambda target: str(target).rsplit(".", 1)[-1],
        "monitor_mode": monitor_mode,
        "categories": categories,
    }
    for name, resolve in resolvers.items():
        OmegaConf.register_new_resolver(name, resolve, replace=True)


def monitor_mode(monitor: str) -> str:
    """Which way a figure that Keras logs is better: losses `min`, scores `max`."""
    return "min" if monitor in ("loss", "val_loss") else "max"


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
