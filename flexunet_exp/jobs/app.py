"""A command as a Hydra app: composes its configuration and passes it to the command's function."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from flexunet_exp.config import compose, own_conf, resolvers
from flexunet_exp.errors import Abort, Enough
from flexunet_exp.jobs.processes import end_with_parent
from flexunet_exp.system import collection, imports, interrupt


def run_app(config_name: str, work: Callable[[DictConfig], Any]) -> None:
    """Composes `config_name`.yaml with the command line and calls `work` with it, in each job.

    An error of `work` is raised unchanged, without Hydra's message around it.
    """
    raised: list[Exception] = []

    def task(cfg: DictConfig) -> Any:
        collection.resume_after_start()
        imports.for_a_command()
        stay_in_folder()
        end_with_parent()
        interrupt.check()  # a launcher gives its worker the next job even after an interrupt
        own_conf.log_warnings()
        try:
            return work(cfg)
        except Exception as error:
            raised.append(error)

    resolvers.register_resolvers()
    app = hydra.main(
        version_base="1.3", config_path=str(compose.conf_dir()), config_name=config_name
    )
    try:
        app(task)()
    except Enough:
        return
    except Abort as abort:
        raise abort.error from None
    if raised:
        raise raised[0]


def stay_in_folder() -> None:
    """Goes back to the folder of the command, which `hydra.job.chdir=true` has left for the job's.

    Relative paths (store, data, cache, other runs) then mean the same in every job and command.
    """
    if HydraConfig.get().job.chdir:
        os.chdir(HydraConfig.get().runtime.cwd)
