"""`python waiting.py -m …`: flexunet train whose jobs write their process id and wait."""

from __future__ import annotations

import os
import time
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from flexunet_exp.jobs import app


def wait(cfg: DictConfig) -> None:
    (Path(HydraConfig.get().runtime.output_dir) / "pid").write_text(str(os.getpid()))
    time.sleep(60)


if __name__ == "__main__":
    app.run_app("train", wait)
