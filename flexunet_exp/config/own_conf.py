"""A person's own configuration: a folder like `conf/`, searched before the shipped one.

hydra_plugins/flexunet_own_conf puts it into Hydra's search path, for every command and worker.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from flexunet_exp.config.compose import PACKAGE, conf_dir
from flexunet_exp.errors import InputError
from flexunet_exp.system.files import replace_file

log = logging.getLogger(__name__)

VARIABLE = "FLEXUNET_CONF"
KEPT: dict[str, bool] = {}  # warnings on files that Hydra looked for → whether they were logged


def own_folder() -> Path | None:
    """The person's folder: `$FLEXUNET_CONF`, else `conf` in the working folder.

    None if there is no such folder, if it is the shipped one, or if it has no file in a group of
    the shipped one. Raises InputError if the variable does not name a folder.
    """
    folder = place()
    if not folder.is_dir() or folder.samefile(conf_dir()) or not holds_choices(folder):
        return None
    return folder


def place() -> Path:
    """Where the person's folder is, or would be."""
    named = os.environ.get(VARIABLE)
    folder = Path(named or "conf").expanduser().absolute()
    if named and not folder.is_dir():
        raise InputError(
            f"${VARIABLE}={named} is not a folder. Make it (mkdir -p), or name another one: "
            f"export {VARIABLE}=FOLDER"
        )
    return folder


def holds_choices(folder: Path) -> bool:
    """Whether any shipped group (dataset, model, dataset/layout …) has a file in a folder."""
    shipped = conf_dir()
    groups = {file.parent.relative_to(shipped) for file in shipped.rglob("*.yaml")} - {Path()}
    return any(next((folder / group).glob("*.yaml"), None) for group in groups)


def is_read(folder: Path, name: str) -> bool:
    """Whether `name` ("dataset/grid.yaml") is read from a person's folder.

    A command's primary configuration is always the shipped one: it decides what the command does.
    """
    own, shipped = folder / name, conf_dir() / name
    if "/" in name or not shipped.is_file():
        return True
    if differ(own, shipped):
        keep_warning(
            f"{own} is not read: flexunet {shipped.stem} begins with {shipped}. Move what differs "
            f"to {folder / 'experiment'}/NAME.yaml and type experiment=NAME, or give the file "
            f"another name and type --config-name NAME."
        )
    return False


def warn_if_hidden(folder: Path, name: str) -> None:
    """Keeps a warning if a file of the person's folder replaces a shipped one."""
    own, shipped = folder / name, conf_dir() / name
    if shipped.is_file() and differ(own, shipped):
        keep_warning(f"{own} is used in place of {shipped}.")


def differ(own: Path, shipped: Path) -> bool:
    return own.read_bytes() != shipped.read_bytes()


def keep_warning(sentence: str) -> None:
    """Keeps a sentence until there is a log: files are read before Hydra sets it up."""
    KEPT.setdefault(sentence, False)


def log_warnings() -> None:
    """Logs the kept warnings that were not logged yet."""
    for sentence in [each for each, is_logged in KEPT.items() if not is_logged]:
        log.warning("%s", sentence)
        KEPT[sentence] = True


def check_new(name: str | Path, instead: str = "another name", overwrite: bool = False) -> Path:
    """The path of a new file such as "dataset/bolt.yaml" in the person's folder.

    `instead` says what to type if the name is taken. Raises InputError if the file exists, unless
    `overwrite`, or would lie inside the package.
    """
    folder = place()
    path = folder / name
    if PACKAGE in (folder.resolve(), *folder.resolve().parents):
        raise InputError(
            f"{folder} belongs to the package, and an update would remove {path.name}. Name a "
            f"folder of your own: export {VARIABLE}=FOLDER"
        )
    if path.exists() and not overwrite:
        raise InputError(taken(path, instead))
    return path


def taken(path: Path, instead: str) -> str:
    return f"{path} exists already, and is left as it is. Try {instead}, or remove it first."


def write_new(
    name: str | Path, text: str, instead: str = "another name", overwrite: bool = False
) -> Path:
    """Writes a new file such as "dataset/bolt.yaml" into the person's folder; returns its path.

    The folder is made if it is missing. In a checkout it is the checkout's `conf`; it is never
    inside the package. `instead` says what to type if the name is taken; `overwrite` replaces the
    file. Raises InputError if the file exists, or cannot be written.
    """
    path = check_new(name, instead, overwrite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if overwrite:
            replace_file(path, text.encode())
            return path
        path.touch(exist_ok=False)  # reserves the name
        try:
            replace_file(path, text.encode())
        except BaseException:
            path.unlink()
            raise
    except FileExistsError as error:
        raise InputError(taken(path, instead)) from error
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}). Name a folder that can be written: "
            f"export {VARIABLE}=FOLDER"
        ) from error
    return path
