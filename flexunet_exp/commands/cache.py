"""flexunet cache: lists and prunes decoded pictures, kept features and facts of files."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig

from flexunet_exp.config import compose
from flexunet_exp.config.rules import is_text
from flexunet_exp.errors import InputError
from flexunet_exp.jobs import app

log = logging.getLogger(__name__)

SECONDS_A_DAY = 24 * 60 * 60
DAY = "%Y-%m-%d"
DECODED = ("data set", "size", "pictures", "MB", "last used", "state", "entry")
FEATURES = ("data set", "encoder", "size", "type", "views", "GB", "last used", "folder")
SCANS = ("folder", "files", "MB", "last used", "file")
NUMBERS = ("pictures", "views", "files", "MB", "GB")


def main() -> None:
    """The command."""
    app.run_app("cache", task)


def task(cfg: DictConfig) -> None:
    from flexunet_exp.data import known_files
    from flexunet_exp.data.cache import entry, feature_folders

    if not is_text(cfg.cache_dir):
        raise InputError(f"cache_dir={cfg.cache_dir} is not a folder's path. Try cache_dir=cache")
    folder = compose.cache_dir(cfg)
    days = days_unused(cfg.prune)
    if days is not None:
        prune(folder, days)
    decoded, features = entry.entries(folder), feature_folders.folders(folder)
    scans = known_files.kept_in(folder)
    if not decoded and not features:
        log.info("There are no decoded pictures in %s, and no features.", folder)
    if decoded:
        log.info("Disk cache in %s", folder)
        show(DECODED, map(cells, decoded))
    if features:
        log.info("Features in %s", folder)
        show(FEATURES, map(feature_cells, features))
    if scans:
        log.info("What scans found, in %s", folder)
        show(SCANS, map(scan_cells, scans))


def days_unused(prune: Any) -> float | None:
    """The days without use after which an entry is removed; None if no entry is removed.

    Raises InputError for anything but null, all or a number.
    """
    if prune is None:
        return None
    if prune == "all":
        return -math.inf
    if isinstance(prune, bool) or not isinstance(prune, int | float) or not prune >= 0:
        raise InputError(
            f"prune={prune} is neither all nor a number of days. To remove what no run has used "
            "for 30 days: flexunet cache prune=30"
        )
    return prune


def prune(folder: Path, days: float) -> None:
    """Removes what was not used for `days` days, and every incomplete entry."""
    from flexunet_exp.data import known_files
    from flexunet_exp.data.cache import entry, feature_folders

    for path in entry.entries(folder):
        if is_old(entry.last_use(path), days) or entry.state(path) != entry.COMPLETE:
            remove(path)
    for path in feature_folders.folders(folder):
        prune_features(path, is_old(entry.last_use(path), days))
    for path in known_files.kept_in(folder):
        if is_old(path.stat().st_mtime, days):
            remove_scan(path)
    entry.remove_locks(folder)


def is_old(last_use: float, days: float) -> bool:
    return (time.time() - last_use) / SECONDS_A_DAY >= days


def remove(path: Path) -> None:
    from flexunet_exp.data.cache import entry
    from flexunet_exp.system import locks

    megabytes = entry.size_on_disk(path) / 1e6
    try:
        with locks.temporary(entry.lock_of(path)):
            entry.discard(path)
    except locks.Locked:
        log.info("Kept %s: it is being built.", path)
    except OSError as error:
        raise InputError(f"{path} cannot be removed ({error.strerror}).") from error
    else:
        log.info("Removed %s (%.1f MB)", path, megabytes)


def prune_features(path: Path, old: bool) -> None:
    """Removes a folder of features if it is old or empty, unless a process uses it."""
    from flexunet_exp.data.cache import feature_folders
    from flexunet_exp.system import locks

    gigabytes = feature_folders.content(path).bytes / 1e9
    try:
        if feature_folders.prune(path, old):
            log.info("Removed %s (%.2f GB)", path, gigabytes)
    except locks.Locked:
        if old:
            log.info("Kept %s: a process uses it.", path)
    except OSError as error:
        raise InputError(f"{path} cannot be removed ({error.strerror}).") from error


def remove_scan(path: Path) -> None:
    """Removes a file of facts; a scan that uses it has read it already."""
    megabytes = path.stat().st_size / 1e6
    try:
        path.unlink()
    except OSError as error:
        raise InputError(f"{path} cannot be removed ({error.strerror}).") from error
    log.info("Removed %s (%.1f MB)", path, megabytes)


def scan_cells(path: Path) -> list[str]:
    from rich.markup import escape

    from flexunet_exp.data import known_files

    found = known_files.summary(path)
    day = time.strftime(DAY, time.localtime(found.last_use))
    return [
        escape(found.folder),
        str(found.files),
        f"{found.bytes / 1e6:.1f}",
        day,
        path.stem.removeprefix("scan_")[:8],
    ]


def show(columns: Sequence[str], rows: Iterable[list[str]]) -> None:
    """Prints a table; columns of numbers are flushed right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE, padding=0)  # else the features' table is wider than 80
    for column in columns:
        justify: Literal["left", "right"] = "right" if column in NUMBERS else "left"
        table.add_column(column, justify=justify, no_wrap=column not in ("data set", "folder"))
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def cells(path: Path) -> list[str]:
    from rich.markup import escape

    from flexunet_exp.data.cache import entry

    info = entry.read_info(path)
    return [
        escape(str(info.get("dataset", "?"))),
        escape(str(info.get("size", "?"))),
        escape(str(info.get("number", "?"))),
        f"{entry.size_on_disk(path) / 1e6:.1f}",
        time.strftime(DAY, time.localtime(entry.last_use(path))),
        entry.state(path),
        path.name[:8],
    ]


def feature_cells(path: Path) -> list[str]:
    from rich.markup import escape

    from flexunet_exp.data.cache import entry, feature_folders

    info, content = entry.read_info(path), feature_folders.content(path)
    names = info.get("datasets")
    used = time.strftime(DAY, time.localtime(entry.last_use(path)))
    return [
        escape(", ".join(map(str, names)) if isinstance(names, list) else "?"),
        escape(str(info.get("encoder", "?"))),
        escape(size_text(info.get("size"))),
        escape(str(info.get("dtype", "?"))),
        str(content.views),
        f"{content.bytes / 1e9:.2f}",
        "in use" if feature_folders.is_used(path) else used,
        path.name.removeprefix(feature_folders.PREFIX)[:8],
    ]


def size_text(size: Any) -> str:
    """A (height, width) as it is typed; a question mark where info.json has something else."""
    return compose.size_text(size) if isinstance(size, list) and len(size) == 2 else "?"
