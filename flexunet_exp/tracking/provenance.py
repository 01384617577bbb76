"""What a run was made with: code, packages, data and first weights, as `provenance.json`."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

import flexunet_exp
from flexunet_exp.config import compose, kept_digests, weights_code
from flexunet_exp.config.identity import (
    Identity,
    own_code_digests,
    targets_in,
    with_effect,
)
from flexunet_exp.config.kept_digests import python_files
from flexunet_exp.config.overrides import task_overrides
from flexunet_exp.errors import InputError
from flexunet_exp.system.files import replace_file
from flexunet_exp.tracking.store import RUN_FOLDER, SIGNATURE
from flexunet_exp.tracking.tracker import git_tags

if TYPE_CHECKING:
    from flexunet_exp.data.dataset import Dataset

FILE = "provenance.json"  # in the run folder, and among the run's artifacts
SCORES_CODE = ("evaluation", "prediction", "scores")  # folders that turn weights into scores
EXTRAS = ("pretrained", "tiff")  # of pyproject.toml, that change what a training reads
Provenance = dict[str, Any]


def build(
    cfg: DictConfig,
    dataset: Dataset,
    identity: Identity,
    threads: int,
    start: tuple[str, str] | None,
) -> Provenance:
    """What decides a run beside its configuration and its sample table.

    `start` is the source and the digest of the weights that `init_from` names.
    """
    from flexunet_exp.data import dataset as datasets  # imports pandas, which start-up leaves out

    root = datasets.folder_of(cfg)
    return {
        "version": flexunet_exp.__version__,
        **commit(),
        "words": None if cfg.tracking.get("reproduces") else words(),
        "signature": str(identity.signature),
        "threads": threads,
        "code": code(cfg),
        "packages": packages(),
        "machine": machine(),
        "first_weights": first_weights(cfg, start),
        "data": {
            "digest": dataset.digest,
            "folder": str(root),
            "masks": mask_hashes(dataset.table["mask"], root),
        },
    }


def words() -> list[str]:
    """The words of the job's command line as they were typed, without those on the store."""
    typed = (word.as_typed() for word in task_overrides())
    return [str(word) for word in typed if not word.key.startswith("tracking.")]


def write(provenance: Provenance, folder: Path) -> None:
    """Writes the file into a run folder."""
    text = json.dumps(provenance, indent=1, ensure_ascii=False) + "\n"
    replace_file(folder / FILE, text.encode())


def own_folder(run: Any, files: Iterable[str]) -> Path | None:
    """The folder of a stored run, if it has these files and is still that run's.

    A later run can have taken the path. A run of an earlier release says no signature, and is
    believed.
    """
    tags = run.data.tags
    folder = Path(tags.get(RUN_FOLDER, ""))
    if not all((folder / file).is_file() for file in files):
        return None
    try:
        kept = read(folder).get("signature")
    except InputError:
        return None
    return folder if kept in (None, tags.get(SIGNATURE, kept)) else None


def read(folder: Path) -> Provenance:
    """What `write` wrote; empty for a run of an earlier release. InputError for a damaged file."""
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}. Restore it, or remove it.") from error
    if not isinstance(found, dict) or (wrong := [n for n in found if not fits(n, found[n])]):
        which = f": {', '.join(wrong)}" if isinstance(found, dict) else ""
        raise InputError(f"{path} is no provenance of a run{which}. Restore it, or remove it.")
    return found


def fits(name: str, value: Any) -> bool:
    """Whether an entry has the form that `build` gives it; the file may come from anyone."""
    if name in ("packages", "machine", "first_weights"):
        return is_texts(value)
    if name == "code":
        return isinstance(value, dict) and all(map(is_texts, value.values()))
    if name == "data":
        return (
            isinstance(value, dict)
            and is_texts({**value, "masks": ""})
            and (is_texts(value.get("masks", {})))
        )
    if name == "words":
        return value is None or (isinstance(value, list) and all(isinstance(w, str) for w in value))
    if name == "threads":
        return type(value) is int and value > 0
    if name == "uncommitted":
        return isinstance(value, bool)
    return value is None or isinstance(value, str)


def is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def commit() -> dict[str, Any]:
    """The commit of the checkout that the package runs from, and whether it has changes."""
    tags = git_tags()
    return {
        "commit": tags.get("mlflow.source.git.commit"),
        "uncommitted": tags.get("git_dirty") == "true",
    }


def code(cfg: DictConfig) -> dict[str, dict[str, str]]:
    """Digests of the code that decides the weights (`weights`), and the scores (`scores`).

    By module, and by package where it is another one that the configuration names.
    """
    settings = with_effect(cfg)
    targets = sorted(set(targets_in(settings)))
    ours = kept_digests.kept(
        " ".join(("modules", *targets)), lambda: weights_code.digests(compose.PACKAGE, targets)
    )
    scores = kept_digests.kept("scores", code_of_scores)
    return {"weights": ours | own_code_digests(settings), "scores": scores}


def code_of_scores() -> dict[str, str]:
    """Digests of the code that turns weights into scores, by module."""
    files = {
        ".".join(path.relative_to(compose.PACKAGE).with_suffix("").parts): path
        for name in SCORES_CODE
        for path in python_files(compose.PACKAGE / name)
    }
    return {name: weights_code.file_digest(path) for name, path in files.items()}


def packages() -> dict[str, str]:
    """The installed versions of Python and of the packages that a training can use."""
    try:
        required = requires(compose.PACKAGE.name) or ()
    except PackageNotFoundError:  # a checkout that is not installed
        required = ()
    found = [re.match(r"([\w.-]+)(?:.*extra == ['\"](\w+)['\"])?", line) for line in required]
    names = {match[1] for match in found if match and match[2] in (None, *EXTRAS)}
    return {"python": platform.python_version(), **dict(installed(sorted(names)))}


def installed(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in names:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def machine() -> dict[str, str]:
    """The machine's system, processor and GPUs, and how TensorFlow computes convolutions there."""
    onednn = "off" if os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") == "0" else "on"
    return {
        "system": platform.platform(),
        "processor": processor(),
        "gpus": ", ".join(gpus()) or "none",
        "oneDNN": onednn,
    }


def gpus() -> list[str]:
    """The models of the machine's NVIDIA GPUs, as their driver lists them under Linux."""
    files = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    found = (re.search(r"^Model:\s*(.*)$", file.read_text(), re.M) for file in files)
    return [match[1] for match in found if match]


def processor() -> str:
    """The processor's name as Linux gives it, else as Python does."""
    try:
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        found = None
    return found[1] if found else platform.processor()


def first_weights(cfg: DictConfig, start: tuple[str, str] | None) -> dict[str, str]:
    """Which weights a network begins with, if not with random ones: of `init_from`, of an encoder.

    An encoder's are named by the sha256 of their file, where that is known.
    """
    encoder = (with_effect(cfg).get("model") or {}).get("encoder_weights")
    named = {"encoder_weights": str(encoder)} if encoder else {}
    return named | ({"init_from": start[0], "init_from_digest": start[1]} if start else {})


def mask_hashes(masks: Iterable[str], root: Path) -> dict[str, str]:
    """The sha256 of each mask by its path, relative to the data set's folder."""
    from flexunet_exp.data import dataset as datasets

    found = (mask for mask in dict.fromkeys(masks) if mask)
    return {relative(mask, root): datasets.file_hash(mask) for mask in found}


def relative(path: str, root: Path) -> str:
    """The path within `root` with slashes; unchanged where it lies elsewhere."""
    return Path(path).relative_to(root).as_posix() if Path(path).is_relative_to(root) else path
