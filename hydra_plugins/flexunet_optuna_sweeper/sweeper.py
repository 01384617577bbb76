"""Hydra's sweeper `flexunet_optuna`: searches with Optuna. conf/sweep/tpe.yaml chooses it."""

# No `from __future__ import annotations`: Hydra runs this file before Python knows its module, and
# dataclasses could not look up the names.
from dataclasses import dataclass, field
from typing import Any, Optional

from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class StudyConf:
    """The options `hydra.sweeper.*`; docs/guides/sweeps.md explains them."""

    _target_: str = "hydra_plugins.flexunet_optuna_sweeper.sweeper.StudySweeper"
    study_name: Optional[str] = None  # noqa: UP045  (OmegaConf 2.3 reads no `str | None`)
    storage: Optional[str] = None  # noqa: UP045
    direction: str = "maximize"
    n_trials: int = 20
    n_jobs: int = 1
    max_batch_size: Optional[int] = None  # noqa: UP045  (of a launcher's preset; n_jobs decides)
    sampler: str = "tpe"
    seed: int = 0
    n_startup_trials: int = 10
    pruner: str = "median"
    warmup_epochs: int = 0
    space: dict[str, Any] = field(default_factory=dict)
    params: Optional[dict[str, Any]] = None  # noqa: UP045  (of a preset beside this one: refused)


ConfigStore.instance().store(
    group="hydra/sweeper", name="flexunet_optuna", node=StudyConf, provider="flexunet_optuna"
)


class StudySweeper(Sweeper):
    """Passes Hydra's launcher to the search of flexunet_exp.sweeps."""

    config: DictConfig
    hydra_context: HydraContext
    launcher: Launcher

    def __init__(self, **settings: Any) -> None:
        pass  # the search reads the settings from the configuration

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        from hydra.core.plugins import Plugins

        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> float:
        from flexunet_exp.sweeps import multirun
        from flexunet_exp.sweeps.search import loop

        started = multirun.of(self.hydra_context)
        return loop.run(self.config, self.launcher.launch, arguments, started)
