"""Trains a run's configuration again, as a new run in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from flexunet_exp.commands.reproduce.recorded import Recorded
from flexunet_exp.config import compose
from flexunet_exp.data import bit_depth
from flexunet_exp.errors import InputError
from flexunet_exp.jobs.processes import SECONDS_TO_END
from flexunet_exp.runs import claims
from flexunet_exp.runs.outcome import Outcome, read_outcome

CONFIG = "reproduction"  # the file of the configuration that is trained, without .yaml
TRACE = "HYDRA_FULL_ERROR"  # this command has set it for itself; its stack traces are no messages
RUN = "run"  # the new run's folder, in that of the command
# Sections with options that a run of an earlier release can lack. Where the program reads those of
# other sections, it knows what such a run did.
FILLED = ("trainer", "predict", "score")


def configuration(recorded: Recorded, cfg: DictConfig) -> DictConfig:
    """The run's configuration, with the store, the folders and the threads that it is trained with.

    It is always trained: never skipped as finished, never gone on with.
    """
    settings = with_defaults(compose.plain(recorded.run.cfg))
    for name in ("hydra", "defaults"):  # a run folder may come from anyone: these name code
        settings.pop(name, None)
    settings |= {"rerun": "all", "dry": False, "require": None, "cache_dir": cfg.cache_dir}
    settings["tracking"] = {
        **compose.plain(cfg.tracking),
        "run_name": f"{recorded.name} again",
        "reproduces": recorded.origin,
    }
    settings["trainer"] |= {"resume": "never", "threads": recorded.threads}
    settings["dataset"]["path"] = str(data_folder(recorded, cfg.data_root))
    first = recorded.provenance.get("first_weights", {})
    if settings.get("init_from") is not None:  # latest and best mean another run by now
        settings["init_from"] = first.get("init_from", settings["init_from"])
    return OmegaConf.create(settings)


def with_defaults(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with today's default of each option that the run is too old to have."""
    composed = compose.composed("train")
    single = [str(name) for name in composed if not OmegaConf.is_config(composed[name])]
    today = compose.plain(OmegaConf.masked_copy(composed, [*single, *FILLED]))
    sections = {name: today[name] | settings.get(name, {}) for name in FILLED}
    # Else pictures of 8 bits would be read as those of 16, as the networks of such runs need it.
    sections["dataset"] = {"bit_depth": bit_depth.UNDECIDED} | settings["dataset"]
    return today | settings | sections


def data_folder(recorded: Recorded, data_root: str | None) -> Path:
    """Where the data set lies: below `data_root`, if it is given; else where the run had it."""
    if data_root is None:
        return recorded.data_folder
    path, root = (Path(str(text)) for text in (recorded.run.cfg.dataset.path, root_of(recorded)))
    if not path.is_relative_to(root):
        raise InputError(
            f"The run's data set {path} does not lie in its data_root {root}, so data_root= cannot "
            "say where it is now. Make it a link to the data, or leave data_root out."
        )
    return Path(data_root).expanduser().absolute() / path.relative_to(root)


def root_of(recorded: Recorded) -> str:
    return str(recorded.run.cfg.data_root)


def refuse_unfinished(signature: str, folder: Path) -> None:
    """Raises InputError for an unfinished run of the same work, which the training would end.

    One that was itself a reproduction may be ended: this one takes its place.
    """
    for found in claims.search(signature, (), folder):
        config = found / "config.yaml"
        kept = OmegaConf.load(config) if config.is_file() else OmegaConf.create()
        if OmegaConf.select(kept, "tracking.reproduces") is None:
            raise InputError(
                f"{found} is an unfinished run of the same work, which this command would end. Go "
                "on with it first, by its own command, or remove the folder."
            )


def train(wanted: DictConfig, folder: Path) -> Outcome:
    """Trains the configuration into a new folder in `folder`; InputError where that fails.

    The command line's own `flexunet train` does it: TensorFlow fixes threads and determinism for
    a whole process, and what is repeated is the very command.
    """
    write_config(wanted, folder)
    words = [f"--config-dir={folder}", f"--config-name={CONFIG}"]
    status = run([sys.executable, "-m", "flexunet_exp", "train", *words])
    if status == 130:
        raise KeyboardInterrupt
    outcome = read_outcome(folder / RUN)
    if status or outcome.status != "finished":
        raise InputError(
            f"The training again ended as {outcome.status}: {outcome.error or f'status {status}'} "
            f"What it left is in {folder / RUN}"
        )
    return outcome


def write_config(wanted: DictConfig, folder: Path) -> None:
    """Writes the configuration whole, as what `flexunet train` composes and where it trains it."""
    hydra = OmegaConf.load(compose.conf_dir() / "train.yaml").hydra
    hydra.run.dir = str(folder / RUN)
    defaults = [{"launcher": "basic"}, "_self_"]  # the choice without which train asks for -m
    whole = OmegaConf.merge({"defaults": defaults}, wanted, {"hydra": hydra})
    OmegaConf.save(whole, folder / f"{CONFIG}.yaml")


def run(command: list[str]) -> int:
    """Runs a command to its end; an interrupt ends it first, as it ends by itself."""
    shown = {name: value for name, value in os.environ.items() if name != TRACE}
    process = subprocess.Popen(command, env=shown)
    try:
        return process.wait()
    except KeyboardInterrupt:
        try:
            process.wait(SECONDS_TO_END)  # a terminal has interrupted it too
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
        raise
