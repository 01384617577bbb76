"""Cells that are trained in other processes: how each begins, and what stands for a lost one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from flexunet_exp.config import resolvers
from flexunet_exp.runs.outcome import RESULT, Outcome, keep_outcome, read_outcome


@dataclass
class Sweep:
    """What every job of a multirun is made from, in whatever process."""

    context: HydraContext
    task: TaskFunction
    cfg: DictConfig

    def job(self, number: int, overrides: Sequence[str]) -> DictConfig:
        """The configuration of one job, Hydra's own part included."""
        setup_globals()
        resolvers.register_resolvers()
        composed = self.context.config_loader.load_sweep_config(self.cfg, list(overrides))
        with open_dict(composed):
            composed.hydra.job.id = f"{composed.hydra.job.name}_{number}"
            composed.hydra.job.num = number
        return composed

    def run(self, singletons: dict, number: int, overrides: Sequence[str]) -> JobReturn:
        """Runs one job in this process, which has been given the command's singletons of Hydra."""
        Singleton.set_state(singletons)
        cfg = self.job(number, overrides)
        HydraConfig.instance().set_config(cfg)
        return run_job(
            hydra_context=self.context,
            config=cfg,
            task_function=self.task,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )


def folder_of(cfg: DictConfig) -> Path:
    """The folder of a cell in its sweep."""
    return Path(cfg.hydra.sweep.dir, cfg.hydra.sweep.subdir).absolute()


def has_ended(folder: Path) -> bool:
    """Whether a cell wrote how it ended, before its process was lost."""
    return (folder / RESULT).exists() and read_outcome(folder).status != "killed"


def lost(cfg: DictConfig, reason: str) -> JobReturn:
    """What a lost job returns; writes that it failed, if its folder does not say how it ended."""
    folder, number = folder_of(cfg), cfg.hydra.job.num
    folder.mkdir(parents=True, exist_ok=True)
    if not has_ended(folder):
        keep_outcome(
            folder,
            Outcome("failed", f"cell {number}", folder=str(folder), error=reason, number=number),
        )
    with open_dict(cfg):
        cfg.hydra.runtime.output_dir = str(folder)
    returned = JobReturn(cfg=cfg, hydra_cfg=cfg, overrides=list(cfg.hydra.overrides.task))
    returned.return_value, returned.status = read_outcome(folder).objective, JobStatus.COMPLETED
    return returned
