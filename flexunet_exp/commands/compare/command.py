"""flexunet compare: ranks runs of the store, and compares the leaders on test."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from flexunet_exp.commands.compare import settings
from flexunet_exp.jobs import app, job
from flexunet_exp.runs import outcome
from flexunet_exp.tracking import address

if TYPE_CHECKING:
    from flexunet_exp.commands.compare.comparison import Comparison
    from flexunet_exp.commands.compare.evidence import Files
    from flexunet_exp.commands.compare.selection import Selection

log = logging.getLogger(__name__)


def main() -> int:
    """The command."""
    app.run_app("compare", task)
    return job.exit_status()


def task(cfg: DictConfig) -> float:
    return job.supervised(cfg, "compare", compare)


def compare(cfg: DictConfig, home: job.Home) -> outcome.Outcome:
    """Compares runs of the store; writes files into the command's folder and the parent run."""
    settings.check(cfg)  # before anything heavy is imported
    from flexunet_exp.commands.compare import files as outputs
    from flexunet_exp.commands.compare import terminal
    from flexunet_exp.tracking import artifacts

    with TemporaryDirectory() as fetched:
        compared, selection, files = read(cfg, Path(fetched))
        (results := home.folder / "compare").mkdir()
        outputs.write(compared, results, files, cfg.images)
    terminal.show(compared)
    log.info("Page: %s", results / outputs.PAGE)
    if selection.parent:
        place = artifacts.add_folder(files.store, selection.parent, results, "compare")
        log.info("Added to run %s as %s", selection.parent, place)
    best = compared.groups[0].group.cells[0].values(compared.metric).mean()
    return outcome.Outcome("finished", "compare", float(best), folder=str(home.folder))


def read(cfg: DictConfig, scratch: Path) -> tuple[Comparison, Selection, Files]:
    """The comparison that the settings describe; files of runs are downloaded into `scratch`.

    Raises InputError if a setting is wrong, or no run can be ranked.
    """
    settings.check(cfg)
    from flexunet_exp.commands.compare import comparison, selection
    from flexunet_exp.commands.compare.evidence import Files
    from flexunet_exp.tracking import find_runs
    from flexunet_exp.tracking.store import Store

    store = Store(cfg.tracking.uri, cfg.tracking.experiment_name, create=False)
    named = [] if cfg.runs is None else find_runs.names(cfg.runs)
    selected = selection.select(store, named, cfg.filter or "")
    files = Files(store, scratch)
    where = tuple(address.store_words(cfg.tracking.uri, cfg.tracking.experiment_name))
    found = comparison.compare(selected, cfg.metric, cfg.top, files, where, cfg.at)
    return found, selected, files
