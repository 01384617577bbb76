"""flexunet export: writes a run's best network as a file for other programs, with a proof."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from flexunet_exp.commands.export import folders, formats, settings
from flexunet_exp.errors import InputError
from flexunet_exp.jobs import app
from flexunet_exp.runs.folder import FinishedRun
from flexunet_exp.tracking import find_runs

if TYPE_CHECKING:
    from flexunet_exp.decisions.file import Decision

log = logging.getLogger(__name__)


def main() -> None:
    """The command; it fails, with exit status 1, if the file is not proven."""
    app.run_app("export", task)


def task(cfg: DictConfig) -> None:
    """Writes the file, proves it, and adds the proof to the run in the store."""
    settings.check(cfg)
    formats.check_installed(cfg.format)
    with TemporaryDirectory() as scratch:
        run = find_runs.find(cfg, Path(scratch))
        log.info("Network: %s", run.network)
        output = folders.destination(cfg.output, run, cfg.format)
        unproven = folders.unproven(output)
        for folder in (output, unproven):
            folders.check_free(folder, cfg.overwrite)
        proof = export(cfg, run, output, decision_of(cfg, run))
        from flexunet_exp.commands.export import report

        report.show(proof)
        if not proof["proven"]:
            kept = f"The file is unproven and kept in {unproven}: do not use it as it is."
            raise InputError([*proof["failures"], kept])
        log.info("Proven, and written to %s (%.1f MB)", output, proof["bytes"] / 1e6)
        add_to_store(cfg, run, output)


def decision_of(cfg: DictConfig, run: FinishedRun) -> Decision | None:
    """The decision to write beside the file; InputError where it is not one of this network."""
    from flexunet_exp.prediction import deciding

    decision = deciding.named(cfg.decision, [run], {})
    log.info(deciding.sentence(decision))
    return decision


def export(
    cfg: DictConfig, run: FinishedRun, output: Path, decision: Decision | None
) -> dict[str, Any]:
    """Exports into `output`, or into its unproven neighbour; returns the proof."""
    from flexunet_exp.commands.export import parity, pictures
    from flexunet_exp.commands.export import proof as proving

    words = [cfg.input] if isinstance(cfg.input, str) else cfg.input
    paths = pictures.choose(run, words, cfg.images, output)
    tolerance = parity.Tolerance(cfg.max_logit_difference, cfg.min_agreement)
    try:
        return proving.export(run, cfg.format, output, paths, tolerance, cfg.overwrite, decision)
    except OSError as error:
        raise InputError(
            f"{error.filename or output}: {error.strerror}. Nothing was exported. Fix this, or "
            "choose another output=FOLDER."
        ) from error


def add_to_store(cfg: DictConfig, run: FinishedRun, output: Path) -> None:
    """Adds the proof to the run's artifacts, with log=true the whole export."""
    if not cfg.tracking.uri:
        return
    from flexunet_exp.tracking import artifacts
    from flexunet_exp.tracking.reachable import optional_store
    from flexunet_exp.tracking.store import Store

    with optional_store("The proof"):
        store = Store(cfg.tracking.uri, cfg.tracking.experiment_name, create=False)
        stored = store.run_of(run.run_id, str(run.folder))
        if stored is None:
            log.info("The run is not in %s: the proof is only in the output folder.", store.uri)
            return
        sent = output if cfg.log else output / folders.PARITY
        artifacts.log_files(store, stored.info.run_id, sent, f"exports/{cfg.format}")
        log.info("Added to run %s as exports/%s", stored.info.run_id, cfg.format)
