"""The resolvers that the yaml files use, as in `${upper:grid}`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from flexunet_exp.errors import Abort, InputError


def register_resolvers() -> None:
    """Registers the resolvers of the yaml files with OmegaConf."""
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
    """`min` for a figure of Keras that is better lower (losses), `max` for the others (scores)."""
    return "min" if monitor in ("loss", "val_loss") else "max"


def categories(*, _root_: DictConfig) -> str:
    """The names of the categories whose folder exists, as a sweep: `grid,screw`.

    This is the resolver of `${categories:}`. Candidates are the choices of `dataset=`. The folder
    of each is its `dataset.path`, which follows from the chosen layout.
    """
    from hydra.core.global_hydra import GlobalHydra

    names = GlobalHydra.instance().config_loader().get_group_options("dataset")
    places = {name: place_of(name, _root_) for name in names}
    found = [name for name, place in places.items() if place.is_dir()]
    first = places[names[0]]
    if len(set(places.values())) == 1:
        problem = (
            f"dataset.path={first} is one folder, and sweep=categories needs one per category. "
            "Leave out dataset.path, to look below data_root, or leave out the preset."
        )
    elif not found:
        problem = (
            f"sweep=categories found no category: looked in {first.parent} for "
            f"{', '.join(names)}. Set data_root=FOLDER (or $FLEXUNET_DATA), or another layout such "
            "as dataset/layout=image_mask"
        )
    else:
        return ",".join(found)
    raise Abort(InputError(problem))  # OmegaConf wraps an Exception in its own words


def place_of(name: str, cfg: DictConfig) -> Path:
    """The folder of a category, which may be missing."""
    of_category = OmegaConf.masked_copy(cfg, ["data_root", "dataset"])
    of_category.dataset.name = name
    return Path(of_category.dataset.path).expanduser().absolute()
