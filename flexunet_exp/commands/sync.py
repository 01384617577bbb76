"""flexunet sync: uploads the outboxes that runs filled while the store did not answer."""

from __future__ import annotations

import logging
from pathlib import Path

from omegaconf import DictConfig

from flexunet_exp.errors import InputError
from flexunet_exp.jobs import app
from flexunet_exp.runs import claims
from flexunet_exp.tracking import outbox
from flexunet_exp.tracking.outbox import ENTRIES

log = logging.getLogger(__name__)


def main() -> int:
    """The command; 1 if an outbox still has entries."""
    left: list[int] = []
    app.run_app("sync", lambda cfg: left.append(task(cfg)))
    return int(any(left))


def task(cfg: DictConfig) -> int:
    """Uploads the outboxes; returns the number of entries that are left in them."""
    from flexunet_exp.tracking import uploads

    folders = chosen(cfg.run) if cfg.run else list(uploads.unsent_folders(Path.cwd()))
    if not folders:
        where = cfg.run or Path("outputs").absolute()
        log.info("Nothing to upload: no run in %s has an outbox.", where)
        return 0
    sent = {}
    for folder in folders:
        log.info("Uploading the outbox of %s …", folder)
        sent[folder] = uploads.upload(folder, cfg.tracking.uri)
    show(sent)
    return sum(one.left for one in sent.values())


def chosen(run: str) -> list[Path]:
    """The folder that `run=` names, if it has an outbox; InputError if its run is unfinished."""
    folder = Path(run).expanduser().absolute()
    if not folder.is_dir():
        raise InputError(
            f"run={run} is not a folder. Expected a run folder with a file {ENTRIES}. Leave out "
            "run= to upload all below ./outputs."
        )
    if claims.is_marked(folder):
        raise InputError(
            f"The run in {folder} is unfinished. Give the command that started it again: the run "
            "goes on, and uploads what the store lacks."
        )
    return [folder] if outbox.exists(folder) else []


def show(sent: dict) -> None:
    """Prints one row per run: entries uploaded, entries left, and why they are left."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Uploaded", title_justify="left")
    table.add_column("run", overflow="fold")
    table.add_column("uploaded", justify="right")
    table.add_column("left", justify="right")
    table.add_column("because", overflow="fold")
    for folder, one in sent.items():
        table.add_row(str(folder), str(one.taken), str(one.left), one.because)
    Console().print(table)
