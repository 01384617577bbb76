"""Keeps Hydra's own files out of a folder that holds a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from flexunet_exp.errors import Abort, InputError
from flexunet_exp.runs.outcome import is_taken


class FolderCallback(Callback):
    """Refuses a folder that holds a run, before Hydra writes its configuration and log there.

    A training may go on in the folder of an unfinished run.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        if config.hydra.output_subdir is None:  # a command without a folder of its own
            return
        folder, goes_on = folder_of(config), config.hydra.job.name == "train"
        if folder and is_taken(folder, goes_on):
            raise Abort(
                InputError(
                    f"{folder} holds a run already. Nothing was changed in it. Choose another "
                    "folder with hydra.run.dir=FOLDER"
                )
            )


def folder_of(config: DictConfig) -> Path | None:
    """The folder that Hydra will make; None for a name of which Hydra itself reports the error.

    The name may have a `${hydra:…}`, which is resolved in the configuration that Hydra has set.
    """
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    try:
        return Path(config.hydra.run.dir).absolute()
    except OmegaConfBaseException:
        return None
    finally:
        HydraConfig.instance().cfg = before
