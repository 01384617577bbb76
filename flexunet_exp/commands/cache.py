"""flexunet cache: lists and prunes the disk cache of decoded pictures."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from flexunet_exp.config import compose
from flexunet_exp.config.rules import is_text
from flexunet_exp.errors import InputError
from flexunet_exp.jobs import app

log = logging.getLogger(__name__)

SECONDS_A_DAY = 24 * 60 * 60


def main() -> None:
    """The command."""
    app.run_app("cache", task)


def task(cfg: DictConfig) -> None:
    from flexunet_exp.data.cache import entry

    if not is_text(cfg.cache_dir):
        raise InputError(f"cache_dir={cfg.cache_dir} is not a folder's path. Try cache_dir=cache")
    folder = compose.cache_dir(cfg)
    days = days_unused(cfg.prune)
    if days is not None:
        prune(folder, days)
    show(folder, entry.entries(folder))


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
    """Removes the entries that were not used for `days` days, and every incomplete one."""
    from flexunet_exp.data.cache import entry

    for path in entry.entries(folder):
        unused = (time.time() - entry.last_use(path)) / SECONDS_A_DAY
        if unused >= days or entry.state(path) != entry.COMPLETE:
            remove(path)
    entry.remove_locks(folder)


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


def show(folder: Path, paths: list[Path]) -> None:
    """Prints one row per entry."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if not paths:
        log.info("There are no decoded pictures in %s", folder)
        return
    log.info("Disk cache in %s", folder)
    table = Table(box=box.SIMPLE)
    for column in ("data set", "size", "pictures", "MB", "last used", "state", "entry"):
        table.add_column(column, justify="right" if column in ("pictures", "MB") else "left")
    for path in paths:
        table.add_row(*cells(path))
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
        time.strftime("%Y-%m-%d", time.localtime(entry.last_use(path))),
        entry.state(path),
        path.name[:8],
    ]
