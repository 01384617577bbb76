"""`python compute_features.py CONFIG GO HOW`: computes the features of a configuration by means.

HOW is `wait`, which stops after five pictures until the file GO is there, or `refuse`, which may
compute none.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf

from flexunet_exp.data import dataset as datasets
from flexunet_exp.data.feed.settings import FeedSettings
from tests.support.means import kept_in, means


def main() -> int:
    path, go, how = sys.argv[1:]
    cfg = OmegaConf.load(path)
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s", force=True)
    seen = 0

    def held_up(images: np.ndarray) -> list[np.ndarray]:
        nonlocal seen
        assert how != "refuse"
        seen += len(images)
        while seen > 5 and not Path(go).exists():
            time.sleep(0.01)
        return means(images)

    kept_in(FeedSettings.from_config(cfg), datasets.load(cfg), held_up)
    return 0


if __name__ == "__main__":
    sys.exit(main())
