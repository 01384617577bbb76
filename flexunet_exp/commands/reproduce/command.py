"""flexunet reproduce: trains a finished run again, and says whether the scores are equal."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from flexunet_exp.config import validation
from flexunet_exp.errors import InputError
from flexunet_exp.jobs import app, job
from flexunet_exp.runs import outcome
from flexunet_exp.tracking.settings import TrackingSettings

if TYPE_CHECKING:
    from flexunet_exp.commands.reproduce.checks import Check
    from flexunet_exp.commands.reproduce.recorded import Recorded
    from flexunet_exp.commands.reproduce.verdict import Verdict

log = logging.getLogger(__name__)

FILE = "reproduction.json"  # in the new run's folder
REPRODUCED = "reproduced"  # figure of this command: 1, or 0 for a verdict `different`


def main() -> int:
    """The command; 1 if it failed, or the run trained again is different."""
    app.run_app("reproduce", task)
    is_different = any(ended.figures.get(REPRODUCED) == 0 for ended in job.ENDED)
    return job.exit_status() or int(is_different)


def task(cfg: DictConfig) -> float:
    return job.supervised(cfg, "reproduce", reproduce)


def reproduce(cfg: DictConfig, home: job.Home) -> outcome.Outcome:
    """Compares what the run was made with, trains it again, and compares the two runs."""
    if problems := validation.own_problems(cfg, "reproduce"):
        raise InputError(problems)
    from flexunet_exp.commands.reproduce import again, recorded, script, verdict

    done = outcome.Outcome("finished", "reproduce", folder=str(home.folder))
    with TemporaryDirectory() as scratch:
        run = recorded.find(cfg, Path(scratch))
        log.info("Run: %s (%s)", run.name, run.run.folder)
        if cfg.script is not None:
            script.write(run, path := Path(cfg.script).expanduser().absolute())
            log.info("Script         %s", path)
            return done
        wanted = again.configuration(run, cfg)
        checks = checked(cfg, run, wanted, home.folder, Path(scratch))
        trained = again.train(wanted, home.folder)
        found = verdict.of(run.run.folder, Path(trained.folder))
    keep(cfg, run, checks, found, trained)
    done.figures = {REPRODUCED: float(found.is_reproduced)}
    done.objective = found.paired.difference if found.paired else math.nan
    return done


def checked(
    cfg: DictConfig, run: Recorded, wanted: DictConfig, folder: Path, scratch: Path
) -> list[Check]:
    """The checks before the training, logged; InputError with all that refuse it."""
    from flexunet_exp.commands.reproduce import again, code_check, data_check, package_check
    from flexunet_exp.config.identity import Identity

    validation.check_settings(wanted)
    checks = [code_check.check(run, wanted, cfg.code), package_check.check(run)]
    problems: list[str] = []
    start = dataset = None
    try:
        found, start = package_check.first_weights(run, wanted, cfg.data, scratch)
        checks.append(found)
    except InputError as error:
        problems += error.problems
    try:
        found, dataset = data_check.check(run, wanted, cfg)
        checks.append(found)
    except InputError as error:
        problems += error.problems
    if dataset is not None and not problems:
        threads = code_check.threads_of(wanted)
        digest = start.digest if start else ""
        signature = Identity.of(wanted, dataset.digest, threads, digest).signature
        again.refuse_unfinished(signature, folder)
        if run.signature:
            checks.append(of_signature(run.signature, signature))
    tell(checks)
    problems += [f"{check.topic}: {check.refusal}" for check in checks if check.refusal]
    if problems:
        raise InputError(problems)
    return checks


def of_signature(then: str, now: str) -> Check:
    """Whether all that decides the weights is the same, which the signature is the hash of."""
    from flexunet_exp.commands.reproduce.checks import DIFFERENT, SAME, Check

    if now == then:
        said = "as the run's: settings, data, code, threads, TensorFlow and Keras are the same."
        return Check("signature", SAME, [f"{now}, {said}"])
    said = f"the run's is {then}: something that decides the weights differs."
    return Check("signature", DIFFERENT, [f"{now}; {said}"])


def tell(checks: list[Check]) -> None:
    """Logs each check: its topic, and its sentences below each other."""
    log.info("")
    for check in checks:
        for number, sentence in enumerate(check.sentences):
            log.info("%-14s %s", "" if number else check.topic.capitalize(), sentence)
    log.info("")


def keep(
    cfg: DictConfig, run: Recorded, checks: list[Check], found: Verdict, trained: outcome.Outcome
) -> None:
    """Writes the verdict into the new run's folder and its run in the store, and logs it."""
    from flexunet_exp.system.files import replace_file
    from flexunet_exp.tracking import record
    from flexunet_exp.tracking.store import OVERRIDES

    path = Path(trained.folder) / FILE
    report = {
        "reproduces": run.origin,
        "folder": str(run.run.folder),
        "checks": [check._asdict() for check in checks],
        **found.as_json(),
    }
    text = json.dumps(defined(report), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    replace_file(path, text.encode())
    if trained.run_id:
        tracking = TrackingSettings.from_config(cfg)
        first = (run.params, run.tags.get(OVERRIDES, ""))
        record.add_reproduction(
            tracking, trained.run_id, path, found.metrics(), found.verdict, *first
        )
    log.info("")
    log.info("Reproduction   %s", found.verdict)
    log.info("               %s", found.because)
    log.info("New run        %s", trained.folder)
    log.info("Report         %s", path)


def defined(node: Any) -> Any:
    """A report with null in place of NaN, which JSON does not have."""
    if isinstance(node, dict):
        return {name: defined(child) for name, child in node.items()}
    if isinstance(node, list | tuple):
        return [defined(child) for child in node]
    return None if isinstance(node, float) and math.isnan(node) else node
