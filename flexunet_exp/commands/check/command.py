"""flexunet check: the data card of a data set, and every problem of it with its file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from flexunet_exp.config import validation
from flexunet_exp.errors import InputError
from flexunet_exp.jobs import app, job
from flexunet_exp.runs import outcome

if TYPE_CHECKING:
    from flexunet_exp.commands.check.survey_data import Examined

log = logging.getLogger(__name__)


def main() -> int:
    """The command."""
    app.run_app("check", task)
    return job.exit_status()


def task(cfg: DictConfig) -> float:
    return job.supervised(cfg, "check", check)


def check(cfg: DictConfig, home: job.Home) -> outcome.Outcome:
    """Examines the data set, and writes its card into the command's folder.

    Raises InputError with every error of the data set; with strict=true, every warning too.
    """
    validation.check_command(cfg, "check")
    validation.check_targets(cfg, ("dataset", "split"))
    from flexunet_exp.commands.check import survey_data, terminal

    log.info("Data: %s", cfg.dataset.path)
    examined = survey_data.examine(cfg)
    write(examined, home.folder)
    terminal.show(examined.card)
    log.info("\nCard: %s", home.folder / "card.html")
    terminal.show_mends(examined.card)
    problems = examined.card["errors"] + cfg.strict * examined.card["warnings"]
    if problems:
        raise InputError(problems)
    return outcome.Outcome("finished", "check", folder=str(home.folder))


def write(examined: Examined, folder: Path) -> None:
    """Writes card.json and card.html."""
    from flexunet_exp.commands.check import page
    from flexunet_exp.data import card
    from flexunet_exp.system.files import replace_file

    replace_file(folder / "card.json", card.to_json(examined.card))
    page.write(folder / "card.html", examined)
