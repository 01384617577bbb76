"""flexunet compare: ranks runs of the store, and decides between the leaders on test."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

from omegaconf import DictConfig

from flexunet_exp.commands.compare import settings
from flexunet_exp.jobs import app, job
from flexunet_exp.runs import outcome
from flexunet_exp.tracking import address

log = logging.getLogger(__name__)


def main() -> int:
    """The command."""
    app.run_app("compare", task)
    return job.exit_status()


def task(cfg: DictConfig) -> float:
    return job.supervised(cfg, "compare", compare)


def compare(cfg: DictConfig, home: job.Home) -> outcome.Outcome:
    """Compares runs from the store alone, into this command's own folder and their parent run."""
    settings.check(cfg)
    from flexunet_exp.commands.compare import comparison, terminal
    from flexunet_exp.commands.compare import files as outputs
    from flexunet_exp.commands.compare import selection as trials
    from flexunet_exp.commands.compare.evidence import Files
    from flexunet_exp.tracking import find_runs
    from flexunet_exp.tracking.store import Store

    store = Store(cfg.tracking.uri, cfg.tracking.experiment_name, create=False)
    allowed = {run.info.run_id for run in store.search(cfg.filter)} if cfg.filter else None
    named = [] if cfg.runs is None else find_runs.names(cfg.runs)
    selection = trials.select(store.search(), named, allowed)
    with TemporaryDirectory() as fetched:
        files = Files(store, Path(fetched))
        where = tuple(address.store_words(cfg.tracking))
        compared = comparison.compare(selection, cfg.metric, cfg.top, files, where)
        (results := home.folder / "compare").mkdir()
        outputs.write(compared, results, files, cfg.images)
    terminal.show(compared)
    log.info("Page: %s", results / outputs.PAGE)
    if selection.parent:
        place = store.add_folder(selection.parent, results, "compare")
        log.info("Added to run %s as %s", selection.parent, place)
    best = compared.groups[0].group.cells[0].values(cfg.metric).mean()
    return outcome.Outcome("finished", "compare", float(best), folder=str(home.folder))
