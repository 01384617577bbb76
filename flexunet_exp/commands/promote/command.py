"""flexunet promote: registers a run's best model, and makes it the champion if it is better."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from flexunet_exp.config import validation
from flexunet_exp.config.rules import is_model_name
from flexunet_exp.errors import InputError
from flexunet_exp.jobs import app

if TYPE_CHECKING:
    from flexunet_exp.decisions.file import Decision
    from flexunet_exp.runs.folder import FinishedRun

log = logging.getLogger(__name__)


def main() -> None:
    """The command; it fails, with exit status 1, if the run is not promoted."""
    app.run_app("promote", task)


def task(cfg: DictConfig) -> None:
    check_settings(cfg)
    from flexunet_exp.commands.promote import judging
    from flexunet_exp.tracking import find_runs, registry
    from flexunet_exp.tracking.store import Store

    store = Store(cfg.tracking.uri, cfg.tracking.experiment_name, create=False)
    with TemporaryDirectory() as folder:
        run = find_runs.find(cfg, Path(folder))
        if not run.is_best:  # what is registered are the files of its folder
            raise InputError(
                f"run={cfg.run} is not the network that its run ended with; promote takes the run. "
                f"Type run={run.folder}"
            )
        validation.check_objective(cfg.objective, run.cfg)
        run_id = registry.stored_run(store, run)
        decision, whatever = decision_of(cfg, run), cfg.decision is None
        wanted = (run_id, run.folder, cfg.name, cfg.objective, decision, whatever)
        version = registry.register(store, *wanted)
        champion = registry.champion(store, cfg.name)
        if champion and is_same(champion, version, whatever):
            log.info("Version %s of %s is the champion already.", champion.version, cfg.name)
            return
        verdict = judging.verdict_on(store, run, version, champion, Path(folder) / "champion")
    if not (verdict.is_better or cfg.force):
        raise InputError(refusal(version, champion, verdict.because))
    because = verdict.because if verdict.is_better else f"force=true, although {verdict.because}"
    registry.crown(store, version, champion, because)
    log.info("Version %s of %s is the champion now: %s", version.version, cfg.name, because)
    log_decision(version, champion)


def decision_of(cfg: DictConfig, run: FinishedRun) -> Decision | None:
    """The decision to keep with the model; InputError where it is not one of this network."""
    from flexunet_exp.prediction import deciding

    if cfg.decision is None:
        return None
    return deciding.named(cfg.decision, [run], {})


def is_same(champion: Any, version: Any, whatever: bool) -> bool:
    """Whether the champion is the version that was asked for, whatever its decision is."""
    is_same_run = champion.tags.get("run_id") == version.tags["run_id"]
    return champion.version == version.version or (whatever and is_same_run)


def log_decision(version: Any, before: Any | None) -> None:
    """Logs the champion's decision, and warns where the one before had one and this has none."""
    from flexunet_exp.tracking.registry import DECISION

    if name := version.tags.get(DECISION):
        log.info("Decision: %s. It is applied unless another is named.", name)
    elif before and (lost := before.tags.get(DECISION)):
        log.warning(
            "Version %s has no decision, and version %s stopped parts by %s. Choose one with "
            "flexunet decide, and add decision=NAME.",
            *(version.version, before.version, lost),
        )


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
