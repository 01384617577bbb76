"""flexunet infer: masks, overlays and tables of defect regions of any pictures."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from flexunet_exp.errors import InputError
from flexunet_exp.jobs import app, job
from flexunet_exp.tracking import find_runs

if TYPE_CHECKING:
    from flexunet_exp.commands.infer.report import Report
    from flexunet_exp.data.find_pictures import Found
    from flexunet_exp.decisions.file import Decision
    from flexunet_exp.prediction.networks import TrainedNetworks
    from flexunet_exp.runs.folder import FinishedRun

log = logging.getLogger(__name__)


def main() -> None:
    """The command."""
    app.run_app("infer", task)


def task(cfg: DictConfig) -> None:
    """Finds the pictures, loads the network, predicts; InputError with the refused pictures."""
    from flexunet_exp.commands.infer import records, settings, volumes
    from flexunet_exp.commands.infer.report import counted
    from flexunet_exp.data import find_pictures

    settings.check(cfg)
    output = Path(os.path.expanduser(cfg.output)).absolute()
    words = [cfg.input] if isinstance(cfg.input, str) else cfg.input
    found = find_pictures.find(words, output, volumes.INPUTS)
    with job.writing_to(output):
        records.check_folder(output)
    trained, run, decision = load(cfg)
    flat, deep = volumes.divided(find_pictures.of_lights(found, trained.channels))
    log.info("%s, predicted by %s", counted(len(flat), len(deep)), run)
    with job.writing_to(output):
        report = predict(cfg, trained, found, output, run, decision)
    log.info(report.sentence(output))
    if report.refused:
        raise InputError(report.problems(output))


def load(cfg: DictConfig) -> tuple[TrainedNetworks, str, Decision | None]:
    """The network of `run=`, or several that predict together; their names; their decision."""
    with TemporaryDirectory() as scratch:
        found = find_runs.find_all(cfg, Path(scratch))
        from flexunet_exp.prediction import deciding, networks

        networks.check_classes(found)
        decision = deciding.named(cfg.decision, found, cfg.predict)
        deciding.check_limits(decision, cfg.min_area, cfg.min_probability)
        log.info(deciding.sentence(decision))
        networks.prepare_process(found[0])
        words = [name_of(run, cfg, Path(scratch)) for run in found]
        options = deciding.options(decision, cfg.predict)
        return networks.load(found, options), ", ".join(words), decision


def name_of(run: FinishedRun, cfg: DictConfig, scratch: Path) -> str:
    """A name by which the run can be found later: not the temporary folder of a fetched run."""
    if run.run_id:
        return f"run {run.run_id}"
    return str(cfg.run if run.network.is_relative_to(scratch) else run.network)


def predict(
    cfg: DictConfig,
    trained: TrainedNetworks,
    found: list[Found],
    output: Path,
    run: str,
    decision: Decision | None,
) -> Report:
    from flexunet_exp.commands.infer import pipeline
    from flexunet_exp.commands.infer.volumes import VolumeOptions
    from flexunet_exp.config import compose

    own = {name: cfg[name] for name in pipeline.Options.__annotations__ if name != "volume"}
    options = pipeline.Options(**own, volume=VolumeOptions(**compose.plain(cfg.volume)))
    return pipeline.infer(trained, found, output, options, run, decision)
