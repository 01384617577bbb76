"""Splits of the literature, by file names, so that figures can be held beside those of papers.

They have no validation part: `valid` is the share of the training pictures of a class that is kept
back to choose the best epoch, at least one.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from flexunet_exp.data.splits import GOOD, with_calibration
from flexunet_exp.errors import InputError

TRAIN_GOOD = "train_good"  # how sources from the folder train/good begin


def third(table: pd.DataFrame, valid: float = 0.25, calibration: float = 0.0) -> pd.DataFrame:
    """The first third of each defect class by file name trains, the last two thirds test.

    The protocol of Hu et al., "AnomalyDiffusion" (2024), arXiv:2312.05767, and its followers.
    Good pictures of train/good train, all others test. Raises InputError where a class has fewer
    than six pictures.
    """
    dealt = by_name(table, lambda number: number // 3, valid, at_least=6)
    return with_calibration(dealt, calibration)


def five_shot(table: pd.DataFrame, valid: float = 0.25, calibration: float = 0.0) -> pd.DataFrame:
    """The first five pictures of each defect class by file name train, all others test.

    The protocol of Yang et al., "Defect Spectrum" (2024), arXiv:2310.17316. Good pictures of
    train/good train, all others test. Raises InputError where a class has fewer than six pictures.
    """
    return with_calibration(by_name(table, lambda number: 5, valid, at_least=6), calibration)


def by_name(
    table: pd.DataFrame, to_train: Callable[[int], int], valid: float, at_least: int
) -> pd.DataFrame:
    """Of each defect class with N sources, the first `to_train(N)` by name train, the others test.

    The last of those that train choose the epoch.
    """
    assigned: dict[str, str] = {}
    few = []
    for label, rows in table.groupby("label"):
        sources = sorted(set(rows["source"]))
        if label == GOOD:
            assigned |= {one: "train" if one.startswith(TRAIN_GOOD) else "test" for one in sources}
            continue
        if len(sources) < at_least:
            few.append(f"{label} ({len(sources)})")
            continue
        number = to_train(len(sources))
        chosen = min(number - 1, max(1, round(valid * number)))
        parts = ["train"] * (number - chosen) + ["valid"] * chosen
        parts += ["test"] * (len(sources) - number)
        assigned |= dict(zip(sources, parts, strict=True))
    if few:
        raise InputError(
            f"This split needs {at_least} pictures of each defect class; there are fewer of "
            f"{', '.join(few)}. Choose split=ratios, or split=folds."
        )
    return table.assign(split=table["source"].map(assigned))
