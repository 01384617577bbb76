"""What identifies a run: hashes of all that can change its weights, its scores, its minutes."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from flexunet_exp.config import kept_digests, weights_code
from flexunet_exp.config.compose import PACKAGE, plain
from flexunet_exp.config.kept_digests import python_files, source_digest
from flexunet_exp.config.options import OPTIONS, can_change, takes_minutes
from flexunet_exp.config.options.row import ROUNDING, SCORES, WEIGHTS
from flexunet_exp.config.validation.arguments import imagenet_sha256
from flexunet_exp.errors import InputError

SCHEME = 2  # the version of what a signature is made of; hashes of version 1 lack a number

# Releases whose code trains the same weights as this code, by the digest of their whole source: it
# is a part of their signatures. After a change of code that can change the weights, empty this
# table and write so in CHANGELOG.md; tests/config/test_weights_code.py fails until then.
SAME_WEIGHTS: dict[str, str] = {}  # digest of the source → name of the release

# Options of `dataset` that runs of earlier releases lack: the values that read data as these did.
AS_BEFORE: dict[str, Any] = {
    "bit_depth": ("auto",),
    "channels": (3,),
    "layout": {
        "mask_values": ("auto",),
        "mask_255": ("auto", "ignore"),
        "colour_order": ("rgb",),
        "inverted": ("error", "accept"),
        "mask_classes": (None,),
    },
}

LOSS_AS_BEFORE: dict[str, Any] = {"pool_batches": (1,)}  # likewise, of `loss`
TRAINER_AS_BEFORE: dict[str, Any] = {"deep_supervision": (None,)}  # likewise, of `trainer`
PREDICT_AS_BEFORE: dict[str, Any] = {"calibrated": (False,)}  # likewise, of `predict`
SPLIT_AS_BEFORE: dict[str, Any] = {"calibration": (0,)}  # likewise, of `split`

# Sections whose options decide how long a run takes. Another order would change the hash.
EFFORT = ("model", "predict", "dataset", "split", "trainer")


@dataclass(frozen=True)
class Identity:
    """What a run is found again by: hashes of 16 hex digits."""

    signature: str  # of all that can change the trained weights
    scoring: str  # of what can change the scores of the same weights
    effort: str  # of what decides how long it takes
    course: str = ""  # of all that can change the weights but the number of epochs

    @classmethod
    def of(
        cls, config: DictConfig | dict, sample_digest: str, threads: int, start: str = ""
    ) -> Identity:
        """The identity of a run; `start` is the digest of the weights that it begins with."""
        trained = signature(config, sample_digest, threads, start)
        along = hashed(["course", *parts_of(config, sample_digest, threads, start, False)])
        return cls(trained, scoring_signature(config), effort(config), along)


def with_effect(config: DictConfig | dict) -> dict[str, Any]:
    """The resolved settings that can change the trained weights: no tracking, drawing or paths."""
    settings = plain(config)
    keeps_features = settings["dataset"].get("cache") == "features"
    patch = settings["dataset"].get("patch") or {}
    if not keeps_features or not patch.get("features"):
        patch.pop("features", None)
    if not patch.get("size") and not patch.get("features"):
        settings["dataset"].pop("patch", None)  # without patches, their other options do nothing
    drop_unused(settings["dataset"], AS_BEFORE)
    drop_unused(settings.get("loss") or {}, LOSS_AS_BEFORE)
    drop_unused(settings.get("split") or {}, SPLIT_AS_BEFORE)
    as_not_refused(settings.get("split") or {})
    drop_unused(settings.get("trainer") or {}, TRAINER_AS_BEFORE)
    if not keeps_features:
        settings["dataset"].pop("feature_type", None)
        (settings.get("augmentation") or {}).pop("views", None)
    as_encoder_is_trained(settings.get("model") or {})
    found = kept(settings, lambda key: can_change(key, WEIGHTS, ROUNDING))
    if keeps_features:
        found["dataset"]["cache"] = "features"  # of fixed views: other weights than of endless ones
    return found


def as_not_refused(split: dict[str, Any]) -> None:
    """`strict` refuses a split or leaves it as it is: runs with it and without train the same."""
    if split.get("_target_") == "flexunet_exp.data.splits.folders" and "strict" in split:
        split["strict"] = False


def as_encoder_is_trained(model: dict[str, Any]) -> None:
    """Its sha256 in place of a weights file; drops what has no effect on a frozen encoder."""
    weights = model.get("encoder_weights")
    if isinstance(weights, str):
        model["encoder_weights"] = name_by_content(weights, model.get("encoder") or {})
    drop_unused(model, {"encoder_from_epoch": (0,)})
    if model.get("encoder_trainable") == "frozen":
        model.pop("encoder_rate", None)


def name_by_content(weights: str, encoder: Mapping[str, Any]) -> str:
    """The sha256 of an encoder's weights: where the file lies does not matter."""
    if (path := Path(weights).expanduser()).is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    known = imagenet_sha256(str(encoder.get("_target_"))) if weights == "imagenet" else None
    return known or weights


def drop_unused(section: dict[str, Any], unused: Mapping[str, Any]) -> None:
    """Removes the options that have no effect with their value: name → its values without one."""
    for name, values in unused.items():
        if isinstance(values, dict):
            drop_unused(section.get(name) or {}, values)
        elif section.get(name) in values:
            section.pop(name, None)


def kept(node: Any, is_kept: Callable[[str], bool], section: str = "") -> Any:
    """The options of a section for whose keys `is_kept` holds."""
    if not isinstance(node, dict):
        return node
    keys = {name: f"{section}.{name}".lstrip(".") for name in node}
    return {
        name: kept(child, is_kept, keys[name])
        for name, child in node.items()
        if is_kept(keys[name])
    }


class Signature(str):
    """A signature; `earlier` are those that earlier releases gave to runs of the same weights."""

    earlier: tuple[str, ...] = ()


def every(signature: str) -> tuple[str, ...]:
    """All signatures of the work that has this one, the current one first."""
    return (str(signature), *getattr(signature, "earlier", ()))


def signature(
    config: DictConfig | dict, sample_digest: str, threads: int, start: str = ""
) -> Signature:
    """Hash of all that can change the trained weights (16 hex digits).

    The settings with an effect; the sample table's digest; the code of this package that a training
    with these settings reaches, and that of own packages it builds from; the versions of TensorFlow
    and Keras; the number of threads; `start`, the digest of the weights it begins with, if any.
    """
    settings, digest, code, *rest = parts_of(config, sample_digest, threads, start)
    named = Signature(hashed([SCHEME, settings, digest, code, *rest]))
    named.earlier = tuple(hashed([settings, digest, release, *rest]) for release in SAME_WEIGHTS)
    return named


def parts_of(
    config: DictConfig | dict,
    sample_digest: str,
    threads: int,
    start: str,
    with_epochs: bool = True,
) -> list[Any]:
    """What a signature is made of: settings, data, code, own code, versions, the start if any."""
    settings = with_effect(config)
    settings["trainer"]["threads"] = threads
    if not with_epochs:
        del settings["trainer"]["epochs"]
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras")}
    others = own_code_digests(settings)
    code = own_code(tuple(sorted(set(targets_in(settings)))))
    return [settings, sample_digest, code, others, versions, *([start] if start else [])]


@cache
def own_code(targets: tuple[str, ...]) -> str:
    """The digest of this package's code that can change the weights of a training of `targets`.

    It is made once per process, whose loaded code does not change: cells of a sweep share it.
    """
    name = " ".join(("weights", *targets))
    return kept_digests.kept(name, lambda: weights_code.digest(PACKAGE, targets))


def sweep_signature(words: Sequence[str]) -> Signature:
    """Hash of a multirun: its words, and the code that any training reaches (16 hex digits)."""
    code = own_code(())
    named = Signature(words_hashed([*words, str(SCHEME), code]))
    named.earlier = tuple(words_hashed([*words, release]) for release in SAME_WEIGHTS)
    return named


def words_hashed(words: Sequence[str]) -> str:
    """16 hex digits over words in any order."""
    return hashlib.sha256("\n".join(sorted(words)).encode()).hexdigest()[:16]


def hashed(parts: Any) -> str:
    """16 hex digits over what JSON can hold."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def effort(config: DictConfig | dict) -> str:
    """Hash of what decides how long a run takes: runs with the same hash take similar minutes."""
    settings = plain(config)
    drop_unused(settings["split"], SPLIT_AS_BEFORE)
    drop_unused(settings["trainer"], TRAINER_AS_BEFORE)
    sections = {name: kept(settings[name], takes_minutes, name) for name in EFFORT}
    if settings["dataset"].get("cache") == "features":  # a step takes a fraction of the time
        sections["dataset"]["cache"] = "features"
    return hashed(list(sections.values()))


def scoring_signature(config: DictConfig | dict) -> str:
    """Hash of what can change the scores of the same weights: `predict.*` and `score.*`."""
    names = sorted({row.section for row in OPTIONS if row.changes is SCORES})
    sections = {name: plain(config[name]) for name in names}
    drop_unused(sections["predict"], PREDICT_AS_BEFORE)
    return hashed(sections)


def code_digests(*names: str) -> list[str]:
    """Hashes of files and folders of this package, without what only a person reads."""
    found = (path for name in names for path in python_files(PACKAGE / name))
    return [weights_code.file_digest(path) for path in found]


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
    """The folder or file of an installed package; InputError if it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or not (spec.origin or spec.submodule_search_locations):
        raise InputError(f"The package {package!r}, named by a _target_, is not installed.")
    if spec.origin is None:  # a package without __init__.py
        return Path(next(iter(spec.submodule_search_locations or ())))
    path = Path(spec.origin)
    return path.parent if path.name == "__init__.py" else path
