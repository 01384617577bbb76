"""The composed configuration: the folder of its files, composing it, the sizes in it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

PACKAGE = Path(__file__).resolve().parents[1]


def conf_dir() -> Path:
    """The folder of the shipped configuration: a checkout's own `conf/`, else the wheel's copy."""
    checkout = PACKAGE.parent / "conf"
    return checkout if (checkout / "train.yaml").is_file() else PACKAGE / "conf"


def composed(command: str, words: Sequence[str] = ()) -> DictConfig:
    """A command's configuration with these overrides, composed outside of its Hydra app.

    Hydra's global state stays unchanged. Raises Hydra's errors for overrides that are not valid.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from flexunet_exp.config.resolvers import register_resolvers

    register_resolvers()
    running = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return compose(command.replace("-", "_"), list(words))
    finally:
        GlobalHydra.instance().hydra = running


def plain(config: Any) -> Any:
    """The configuration as dicts and lists, every interpolation resolved; plain ones are copied."""
    if not OmegaConf.is_config(config):
        return copy.deepcopy(config)
    return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)


def section_or_default(
    name: str, cfg: DictConfig, overrides: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A section of a run's configuration, with the values of `overrides` that are not null.

    An option that the run lacks, because the run is older, has its value in default.yaml.
    """
    settings = plain(OmegaConf.load(conf_dir() / name / "default.yaml"))
    for part in (cfg.get(name), overrides):
        given = {} if part is None else plain(part)
        settings |= {name: value for name, value in given.items() if value is not None}
    return settings


def bit_depth(cfg: DictConfig) -> int | str:
    """Bits of the values in 16-bit pictures; all 16 for a run that was made before it was asked."""
    return OmegaConf.select(cfg, "dataset.bit_depth", default=16)


def channels(cfg: DictConfig) -> int | list[str]:
    """The channels of pictures: their number, or the names of the lights; 3 for older runs."""
    return plain(OmegaConf.select(cfg, "dataset.channels", default=3))


def image_size(cfg: DictConfig) -> tuple[int, int]:
    """(height, width) of the network's input."""
    return sides(cfg.dataset.image_size)


def patch_size(cfg: DictConfig) -> tuple[int, int] | None:
    """(height, width) of the patches that are trained on; None for whole pictures."""
    size = OmegaConf.select(cfg, "dataset.patch.size")  # older runs lack it
    return None if size is None else sides(size)


def feature_patch(cfg: DictConfig) -> tuple[int, int] | None:
    """(height, width), in the network's pixels, of patches of kept features; None for whole ones.

    Only dataset.cache=features has them.
    """
    size = OmegaConf.select(cfg, "dataset.patch.features")  # older runs lack it
    return None if size is None or cfg.dataset.cache != "features" else sides(size)


def sides(size: Any) -> tuple[int, int]:
    """(height, width) of a size as it is typed: one number, or two."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def size_text(size: Sequence[int]) -> str:
    """A (height, width) as it is typed."""
    return str(size[0]) if size[0] == size[1] else f"[{size[0]},{size[1]}]"


def cache_dir(cfg: DictConfig) -> Path:
    """The folder of what is kept between runs: decoded pictures, measured precisions."""
    return Path(cfg.cache_dir).expanduser().absolute()
