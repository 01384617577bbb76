"""The composed configuration: where it lives, its resolvers, building from it, its signature."""

from __future__ import annotations

import copy
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from flexunet_exp.errors import InputError

PACKAGE = Path(__file__).resolve().parents[1]

# What a configuration may build. A configuration is data, maybe somebody else's: without this list
# `_target_: os.system` would run. Own packages are added by name in $FLEXUNET_TRUSTED (a,b,c).
TRUSTED = ("flexunet_exp.", "keras.optimizers.", "keras.losses.", "keras.callbacks.")

# Values that cannot change the trained weights; the paths of data and store among them.
WITHOUT_EFFECT = (
    *("tracking", "hydra", "rerun", "dry", "objective", "data_root", "cache_dir", "require"),
    *("predict", "score", "launcher"),
)
WITHOUT_EFFECT_IN = {  # values of a section
    "dataset": ("path", "cache", "strict"),
    "callbacks": ("epoch_images", "curves", "stop_file"),
    "trainer": ("resume", "save_every", "profile"),
}
# What of these sections does not decide how long a run takes.
WITHOUT_EFFORT = {
    "dataset": WITHOUT_EFFECT_IN["dataset"],
    "split": ("seed", "fold"),
    "trainer": ("seed", *WITHOUT_EFFECT_IN["trainer"]),
}


def conf_dir() -> Path:
    """The folder of the shipped configuration: a checkout's own `conf/`, else the wheel's copy."""
    checkout = PACKAGE.parent / "conf"
    return checkout if (checkout / "train.yaml").is_file() else PACKAGE / "conf"


def register_resolvers() -> None:
    """Makes the words that our yaml files use in `${word:value}` known to OmegaConf."""
    from flexunet_exp.sweeps.presets import categories

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


def plain(config: Any) -> Any:
    """The configuration as dicts and lists, every interpolation resolved; a copy of one that is."""
    if not OmegaConf.is_config(config):
        return copy.deepcopy(config)
    return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)


def image_size(cfg: DictConfig) -> tuple[int, int]:
    """(height, width) of the network's input."""
    return sides(cfg.dataset.image_size)


def patch_size(cfg: DictConfig) -> tuple[int, int] | None:
    """(height, width) of the patches that are trained on; None where whole pictures are."""
    size = OmegaConf.select(cfg, "dataset.patch.size")  # runs of before there were any lack it
    return None if size is None else sides(size)


def sides(size: Any) -> tuple[int, int]:
    """(height, width) of a size as it is typed: one number, or two."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def size_text(size: Sequence[int]) -> str:
    """A (height, width) as it is typed."""
    return str(size[0]) if size[0] == size[1] else f"[{size[0]},{size[1]}]"


def cache_dir(cfg: DictConfig) -> Path:
    """The folder of what is remembered between runs: decoded pictures, measured precisions."""
    return Path(cfg.cache_dir).expanduser().absolute()


def is_trusted(target: str) -> bool:
    own = tuple(f"{name}." for name in os.environ.get("FLEXUNET_TRUSTED", "").split(",") if name)
    return target.startswith(TRUSTED + own)


def locate(target: str) -> Callable[..., Any]:
    """The class or function a `_target_` names; InputError when it is untrusted or not there."""
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
    """Calls the node's `_target_` with its arguments, and with those of `context` it asks for."""
    arguments = dict(plain(node) if isinstance(node, DictConfig) else node)
    target = locate(arguments.pop("_target_"))
    asked = inspect.signature(target).parameters
    given = {name: value for name, value in context.items() if name in asked}
    return target(**arguments, **given)


def with_effect(config: DictConfig | dict) -> dict[str, Any]:
    """The resolved settings that can change the trained weights: no tracking, drawing or paths."""
    settings = plain(config)
    for name in WITHOUT_EFFECT:
        settings.pop(name, None)
    if not (settings["dataset"].get("patch") or {}).get("size"):
        settings["dataset"].pop("patch", None)  # how many, and of what, when there are none
    for section, names in WITHOUT_EFFECT_IN.items():
        for name in names:
            settings[section].pop(name, None)
    return settings


def signature(config: DictConfig | dict, sample_digest: str, threads: int) -> str:
    """Hash of all that can change the trained weights (16 hex digits).

    The settings with an effect; the sample table's digest; the package's source and that of own
    packages it builds from; the versions of TensorFlow and Keras; the number of threads.
    """
    settings = with_effect(config)
    settings["trainer"]["threads"] = threads
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras")}
    parts = [settings, sample_digest, own_source(), own_code_digests(settings), versions]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def effort(config: DictConfig | dict) -> str:
    """Hash of what decides how long a run takes: runs of one effort tell each other's minutes."""
    settings = plain(config)
    parts = [settings["model"], settings["predict"]]
    for name, left_out in WITHOUT_EFFORT.items():
        parts.append({k: v for k, v in settings[name].items() if k not in left_out})
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def scoring_signature(config: DictConfig | dict) -> str:
    """Hash of what can change the scores of the same weights: `predict.*` and `score.*`."""
    parts = {name: plain(config[name]) for name in ("predict", "score")}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@cache
def own_source() -> str:
    """Hash of this package's source; read once a process, which goes on with what it has loaded."""
    return source_digest(PACKAGE)


def source_digest(root: Path) -> str:
    """Hash of a package's (or one file's) Python source: other code may train other weights."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def own_code_digests(settings: Any) -> dict[str, str]:
    """Hash of the source of every package outside this one and Keras that a `_target_` names."""
    packages = {target.split(".")[0] for target in targets_in(settings)}
    return {name: source_digest(source_of(name)) for name in packages - {"flexunet_exp", "keras"}}


def targets_in(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield str(node["_target_"])
        node = list(node.values())
    for child in node if isinstance(node, list) else ():
        yield from targets_in(child)


def source_of(package: str) -> Path:
    """The folder or file of an installed package; InputError when there is none."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(f"The package {package!r}, named by a _target_, is not installed.")
    path = Path(spec.origin)
    return path.parent if path.name == "__init__.py" else path
