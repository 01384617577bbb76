"""How closely an exported file computes a network's logits, and how fast, for each picture."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from flexunet_exp.commands.export.formats import Forward

EXACT = "float32"  # the precision that every file computes in


class Network(NamedTuple):
    """What the exported file is compared with."""

    name: str
    precision: str  # that it computes in
    model: Any  # keras.Model


class Tolerance(NamedTuple):
    """How much a proven file may differ."""

    max_logit_difference: float  # from the network in float32
    min_agreement: float  # share of pixels that get the same class, 0..1, with each network


def compare(
    exported: Forward, networks: Sequence[Network], pictures: Iterable[tuple[Path, np.ndarray]]
) -> pd.DataFrame:
    """One row per picture (1, H, W, channels) and network; file and networks compute it in turn.

    Columns: picture, network, precision, agreement (share of pixels of the same class),
    max_logit_difference, mean_logit_difference, and the milliseconds of both.
    """
    rows = []
    for path, image in pictures:
        logits, milliseconds = timed(exported, image)
        for network in networks:
            expected, own = timed(network.model.predict_on_batch, image)
            row = {
                "picture": str(path),
                "network": network.name,
                "precision": network.precision,
                **difference(logits, expected),
                "milliseconds": own,
                "exported_milliseconds": milliseconds,
            }
            rows.append(row)
    return pd.DataFrame(rows)


def timed(forward: Forward, image: np.ndarray) -> tuple[np.ndarray, float]:
    """The logits as float32, and the milliseconds they took."""
    start = time.perf_counter()
    logits = np.asarray(forward(image), np.float32)
    return logits, 1000 * (time.perf_counter() - start)


def difference(logits: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """The differences of logits (1, H, W, C); they are not finite if one logit is not."""
    distance = np.abs(logits - expected)
    return {
        "agreement": float((logits.argmax(-1) == expected.argmax(-1)).mean()),
        "max_logit_difference": float(distance.max()),
        "mean_logit_difference": float(distance.mean()),
    }


def summary(table: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per network over all pictures, which have one size; times are medians.

    A difference that is not finite is None.
    """
    rows = table.groupby(["network", "precision"], sort=False, as_index=False).agg(
        agreement=("agreement", "mean"),
        max_logit_difference=("max_logit_difference", "max"),
        mean_logit_difference=("mean_logit_difference", "mean"),
        milliseconds=("milliseconds", "median"),
        exported_milliseconds=("exported_milliseconds", "median"),
    )
    return json.loads(rows.to_json(orient="records", double_precision=15))


def failures(summary: Iterable[Mapping[str, Any]], tolerance: Tolerance) -> list[str]:
    """A sentence for each tolerance that is exceeded; an undefined difference exceeds its own."""
    sentences = []
    for row in summary:
        agreement, largest = row["agreement"], row["max_logit_difference"]
        if agreement < tolerance.min_agreement:
            sentences.append(
                f"Only {agreement:.4%} of the pixels get the class that the network "
                f"{row['network']} gives them; min_agreement={tolerance.min_agreement}"
            )
        if row["precision"] != EXACT:
            continue
        if largest is None or largest > tolerance.max_logit_difference:
            found = "are not all finite" if largest is None else f"differ by up to {largest:.2g}"
            sentences.append(
                f"The logits {found}, compared with the network {row['network']}; "
                f"max_logit_difference={tolerance.max_logit_difference}"
            )
    return sentences
