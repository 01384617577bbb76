"""How a multirun starts: the callback that Hydra makes, and the command it belongs to."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from flexunet_exp.config.identity import sweep_signature, words_hashed
from flexunet_exp.config.overrides import unresolved
from flexunet_exp.errors import Abort, Enough, InputError
from flexunet_exp.jobs import job
from flexunet_exp.runs.folder import MOVING
from flexunet_exp.sweeps import compose_cells, launchers, presets
from flexunet_exp.sweeps.parent_run import Multirun, outcomes_in
from flexunet_exp.sweeps.search import report, study
from flexunet_exp.system import interrupt
from flexunet_exp.tracking.settings import TrackingSettings

log = logging.getLogger(__name__)

# The running command, which gets the multirun that Hydra starts. Hydra makes the callback from its
# name and returns no reference to it, so the callback finds the command in this variable.
COMMAND: ContextVar[Command | None] = ContextVar("COMMAND", default=None)


class SweepCallback(Callback):
    """Opens the parent run before the first job, and passes its id to every job of any launcher.

    The jobs get the parent's id, and the keys they differ in, as overrides: no environment variable
    or shared memory has to reach another process or machine. With dry=true the callback prints what
    would be trained, and ends the command.
    """

    multirun: Multirun | None = None

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        if config.hydra.job.name == "train":
            with handed_on():
                self.refuse_preset(config)
                if config.dry:
                    self.show_dry(config, [unresolved(config.hydra.overrides.task)])

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        if config.hydra.job.name != "train":
            return
        with handed_on():
            launchers.check(config)
            presets.check(config, loader())
            words = unresolved(config.hydra.overrides.task)
            refuse_moving_start(config, words)
            search = study.plan(config, loader(), words) if study.is_study(config) else None
            axes = [*varying_keys(config, words), *(search.space if search else ())]
            threads = launchers.thread_overrides(config, axes)
            if config.dry and search:
                report.show_dry(search)
                raise Enough
            if config.dry:
                self.show_dry(
                    config, compose_cells.overrides_of(config, loader(), [*words, *threads])
                )
            with launchers.warming_workers(config):
                self.start(config, words, axes, search)
            add_overrides(config, threads)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Runs in the process of the job, which a launcher may have started."""
        if config.hydra.job.name == "train":
            interrupt.listen()
            launchers.spread_gpus(config)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Drops the configurations of an ended job, of which only the folder is read.

        Hydra keeps what each job of a sweep returned until the sweep ends.
        """
        folder = config.hydra.runtime.output_dir
        job_return.cfg = None
        job_return.hydra_cfg = OmegaConf.create({"hydra": {"runtime": {"output_dir": folder}}})

    def refuse_preset(self, config: DictConfig) -> None:
        """Raises InputError for a preset without -m, which Hydra would ignore without a message."""
        choices = config.hydra.runtime.choices
        if preset := choices.get("sweep"):
            raise InputError(f"sweep={preset} needs -m: flexunet train -m sweep={preset} …")
        if (launcher := choices.get("launcher")) != "basic":
            raise InputError(
                f"launcher={launcher} needs -m: flexunet train -m launcher={launcher} …"
            )

    def show_dry(self, config: DictConfig, all_words: list[list[str]]) -> None:
        from flexunet_exp.sweeps import dry_run

        dry_run.show(config, loader(), all_words)
        raise Enough

    def start(
        self, config: DictConfig, overrides: list[str], axes: list[str], search: study.Plan | None
    ) -> None:
        tracking = TrackingSettings.from_config(config)
        searched = search.space if search else swept_keys(config, overrides)
        started = Multirun(tracking, Path(config.hydra.sweep.dir).absolute(), searched)
        if outcomes_in(started.folder):
            raise InputError(
                f"{started.folder} holds a sweep already. Choose another hydra.sweep.dir=FOLDER. "
                "Runs finished or begun there are found, and not trained again."
            )
        if tracking.uri:
            signature = words_hashed(search.identity) if search else sweep_signature(overrides)
            started.open_parent(overrides, signature, config.rerun)
        add_overrides(config, [f"tracking.vary=[{','.join(dict.fromkeys(axes))}]"])
        if started.parent_run_id:
            add_overrides(config, [f"tracking.parent_run_id={started.parent_run_id}"])
        self.multirun = started
        if command := COMMAND.get():
            command.multirun = started


class Command:
    """A command that may sweep."""

    multirun: Multirun | None = None  # once Hydra has started it

    def finish(self) -> int:
        """Ends what the command started; 1 if anything failed."""
        return self.multirun.finish() if self.multirun else job.exit_status()

    def abandon(self, status: str) -> None:
        if self.multirun:
            self.multirun.abandon(status)


@contextmanager
def command() -> Iterator[Command]:
    """The running command; an error that leaves it ends its multirun in the store."""
    token = COMMAND.set(running := Command())
    try:
        yield running
    except KeyboardInterrupt:
        running.abandon("KILLED")
        raise
    except Exception:
        running.abandon("FAILED")
        raise
    finally:
        COMMAND.reset(token)


def of(context: HydraContext) -> Multirun:
    """The multirun that a sweeper was made for; InputError if its command starts none."""
    for callback in context.callbacks.callbacks:
        if isinstance(callback, SweepCallback) and callback.multirun:
            return callback.multirun
    raise InputError("hydra/sweeper=flexunet_optuna works with flexunet train only.")


def refuse_moving_start(config: DictConfig, words: list[str]) -> None:
    """Raises InputError for init_from=latest or best: each cell would begin with an earlier one.

    The words are typed ones, or those of a preset; a yaml that a fixed choice names is composed.
    """
    given = [f"{axis}={values}" for axis, values in presets.params(config).items()] + words
    parsed = OverridesParser.create(config_loader=loader()).parse_overrides(given)
    starts = [word for word in parsed if word.key_or_group == "init_from"]
    named = {str(config.get("init_from")), *(one for word in starts for one in values_of(word))}
    for name in MOVING:
        if name in named:
            raise InputError(
                f"init_from={name} means another run after each cell of a sweep. Give the id "
                "or the folder of a run: init_from=RUN"
            )


def values_of(word: Override) -> list[str]:
    """The values that an override gives to the cells of a sweep, without quotes."""
    texts = word.sweep_string_iterator() if word.is_sweep_override() else [str(word.value())]
    return [text.strip("'\"") for text in texts]


def add_overrides(config: DictConfig, overrides: list[str]) -> None:
    """Adds these overrides to every job of a multirun."""
    with read_write(config), open_dict(config):
        config.hydra.overrides.task.extend(overrides)


@contextmanager
def handed_on() -> Iterator[None]:
    """Raises an error of a Hydra callback as Abort: Hydra logs any other only as a warning."""
    try:
        yield
    except Exception as error:
        raise Abort(error) from error


def loader() -> Any:
    """Hydra's loader of configurations for the running command."""
    return GlobalHydra.instance().config_loader()


def varying_keys(cfg: DictConfig, overrides: list[str]) -> list[str]:
    """The keys a sweep goes over, those of `hydra.sweeper.params` first."""
    return list(presets.params(cfg)) + swept(overrides)


def swept_keys(cfg: DictConfig, overrides: list[str]) -> list[str]:
    """The keys with more than one value, those of `hydra.sweeper.params` first."""
    return swept([f"{axis}={values}" for axis, values in presets.params(cfg).items()] + overrides)


def swept(overrides: list[str]) -> list[str]:
    parsed = OverridesParser.create().parse_overrides(overrides)
    return [entry.get_key_element() for entry in parsed if entry.is_sweep_override()]
