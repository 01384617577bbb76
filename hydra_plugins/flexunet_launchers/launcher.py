"""Launchers of Hydra: by Ray, and by submitit with the options of Hydra's own launchers for it.

The files of conf/launcher choose them.
"""

# No `from __future__ import annotations`: Hydra runs this file before Python knows its module, and
# dataclasses could not look up the names.
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class RayConf:
    """The options `hydra.launcher.*`; docs/guides/sweeps.md explains them."""

    _target_: str = "hydra_plugins.flexunet_launchers.launcher.RayLauncher"
    address: Optional[str] = None  # noqa: UP045  (OmegaConf 2.3 reads no `str | None`)
    parallel: int = 2
    cpus: Optional[int] = None  # noqa: UP045
    gpus: int = 0
    retries: int = 3


ConfigStore.instance().store(
    group="hydra/launcher", name="flexunet_ray", node=RayConf, provider="flexunet_ray"
)


class SweepLauncher(Launcher):
    """What the launchers share: their settings are read from the configuration."""

    def __init__(self, **settings: Any) -> None:
        pass

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.hydra_context, self.task_function = hydra_context, task_function
        self.config = config

    def sweep(self) -> Any:
        from flexunet_exp.sweeps import remote_cells

        return remote_cells.Sweep(self.hydra_context, self.task_function, self.config)


class RayLauncher(SweepLauncher):
    """Passes Hydra's jobs to flexunet_exp.sweeps.ray_launcher."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        from flexunet_exp.sweeps import ray_launcher

        return ray_launcher.launch(self.sweep(), job_overrides, initial_job_idx)


class SubmititLauncher(SweepLauncher):
    """Passes Hydra's jobs to flexunet_exp.sweeps.submitit_launcher."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        from flexunet_exp.sweeps import submitit_launcher

        return submitit_launcher.launch(self.sweep(), job_overrides, initial_job_idx)
