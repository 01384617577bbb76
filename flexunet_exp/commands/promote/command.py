"""flexunet promote: registers a run's best model, and makes it the champion if it is better."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from omegaconf import DictConfig

from flexunet_exp.config import validation
from flexunet_exp.config.rules import is_model_name
from flexunet_exp.errors import InputError
from flexunet_exp.jobs import app

log = logging.getLogger(__name__)


def main() -> None:
    """The command; it fails, with exit status 1, if the run is not promoted."""
    app.run_app("promote", task)


def task(cfg: DictConfig) -> None:
    check_settings(cfg)
    from flexunet_exp.commands.promote import judging
    from flexunet_exp.tracking import find_runs, registry
    from flexunet_exp.tracking.store import Store, has_learned

    store = Store(cfg.tracking.uri, cfg.tracking.experiment_name, create=False)
    with TemporaryDirectory() as folder:
        run = find_runs.find(cfg, Path(folder))
        validation.check_objective(cfg.objective, run.cfg)
        run_id = registry.stored_run(store, run)
        version = registry.register(store, run_id, run.folder, cfg.name, cfg.objective)
        champion = registry.champion(store, cfg.name)
        if champion and champion.version == version.version:
            log.info("Version %s of %s is the champion already.", version.version, cfg.name)
            return
        if not has_learned(store.run_of(run_id, str(run.folder))):
            verdict = judging.NOTHING_LEARNED
        elif champion is None:
            verdict = judging.FIRST
        else:
            present = judging.fetch_scores(store, champion, Path(folder) / "champion")
            verdict = judging.judge(run.folder, present)
    if not (verdict.is_better or cfg.force):
        raise InputError(refusal(version, champion, verdict.because))
    because = verdict.because if verdict.is_better else f"force=true, although {verdict.because}"
    registry.crown(store, version, champion, because)
    log.info("Version %s of %s is the champion now: %s", version.version, cfg.name, because)


def check_settings(cfg: DictConfig) -> None:
    """Raises InputError with every problem of the command's own settings."""
    problems = []
    if not is_model_name(cfg.name):
        found = "is missing" if cfg.name is None else f"is {cfg.name!r}"
        problems.append(
            f"name=NAME {found}; expected the registered model's name, of letters, digits, _ - "
            "and dots. Try flexunet promote run=latest name=zipper"
        )
    if str(cfg.run).startswith("models:/"):
        problems.append(
            f"run={cfg.run} is a registered model already; expected a run. The run's id is the "
            "version's tag run_id in the UI"
        )
    problems += validation.own_problems(cfg, "promote")
    if not cfg.tracking.uri:
        problems.append(
            "tracking=none has no store, and the registry is a part of the store. Use "
            "tracking=local or tracking=server."
        )
    if problems:
        raise InputError(problems)


def refusal(version: Any, champion: Any | None, because: str) -> str:
    stays = f"version {champion.version} stays the champion" if champion else "there is no champion"
    return (
        f"Version {version.version} of {version.name} is registered but not promoted, {stays}: "
        f"{because} Add force=true to promote it anyway."
    )
