"""Hydra's launcher by submitit, with the options of Hydra's own. conf/launcher/slurm.yaml and
conf/launcher/submitit.yaml choose it.
"""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SubmititLauncher(Launcher):
    """Passes Hydra's jobs to flexunet_exp.sweeps.submitit_launcher."""

    def __init__(self, **settings: Any) -> None:
        pass  # the settings are read from the configuration

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.hydra_context, self.task_function = hydra_context, task_function
        self.config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        from flexunet_exp.sweeps import remote_cells, submitit_launcher

        sweep = remote_cells.Sweep(self.hydra_context, self.task_function, self.config)
        return submitit_launcher.launch(sweep, job_overrides, initial_job_idx)
