"""The files beside an exported file: how to use it, and how it was proven."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flexunet_exp.commands.export import formats, parity
from flexunet_exp.commands.export.rule_parity import Agreement
from flexunet_exp.config import compose
from flexunet_exp.config.validation.arguments import divisor_of
from flexunet_exp.data import grey_levels
from flexunet_exp.data.bit_depth import UNDECIDED
from flexunet_exp.data.channels import Channels
from flexunet_exp.data.dataset import file_hash
from flexunet_exp.data.tiles import Size
from flexunet_exp.decisions.file import Decision
from flexunet_exp.prediction import calibration, deciding
from flexunet_exp.prediction.settings import PredictSettings
from flexunet_exp.runs.folder import FinishedRun

# What a program makes of the logits, without temperatures and with them.
OUTPUT = {
    False: {
        "mask": "index of the largest logit: argmax over the last axis",
        "probabilities": "softmax over the last axis",
    },
    True: {
        "mask": "divide each logit by the temperature of its class, then argmax over the last axis",
        "probabilities": "divide each logit by the temperature of its class, then softmax over the "
        "last axis",
    },
}


def usage(
    run: FinishedRun, name: str, bound_to: Size | None, dtype: str, decision: Decision | None = None
) -> dict[str, Any]:
    """Everything a program needs to use the file: classes, input, output.

    `bound_to` is the only size (height, width) that it takes; None if it takes any. `dtype` is that
    of its images. The temperatures are those that the run was scored with, or that the decision
    beside the file was chosen with; null for none.
    """
    settings = PredictSettings.from_config(run.cfg, deciding.options(decision, {}))
    (height, width), tile = settings.size, settings.tile_size
    sides = bound_to or ("height", "width")
    bits = bits_of(run, dtype)
    channels = Channels.of(compose.channels(run.cfg))
    classes = compose.plain(run.cfg.dataset.classes)
    return {
        "file": formats.FORMATS[name].file,
        "classes": [{"index": index, **entry} for index, entry in enumerate(classes)],
        "input": {
            "name": formats.INPUT,
            "type": dtype,
            "shape": ["pictures", *sides, channels.number],
            "channels": ", ".join(channels.names),
            "bit_depth": bits,
            "scaling": spread(bits, dtype),
            "image_size": {"height": height, "width": width},
            "sides_divide_by": None if bound_to else step_of_sides(run),
            "resize": "OpenCV INTER_AREA to shrink, INTER_LINEAR to enlarge",
        },
        "output": {
            "name": formats.OUTPUT,
            "type": "float32",
            "shape": ["pictures", *sides, len(classes)],
            "temperatures": calibration.read(run).temperatures if settings.calibrated else None,
            **OUTPUT[settings.calibrated],
        },
        # Parts of a picture, in its own pixels, that are resized to image_size one by one.
        "tile": None if tile is None else {"height": tile[0], "width": tile[1]},
        "overlap": settings.overlap if tile else None,
        "views": settings.tta,
        "scored_with": settings.describe(),
    }


def step_of_sides(run: FinishedRun) -> int | None:
    """What the sides of a picture must divide by; None where only the network's file is known."""
    return divisor_of(compose.plain(run.cfg.model)) if "model" in run.cfg else None


def bits_of(run: FinishedRun, dtype: str) -> int:
    """Bits of the values that the images are made of."""
    bits = compose.bit_depth(run.cfg)
    full = np.iinfo(dtype).bits
    return full if bits == UNDECIDED else min(int(bits), full)


def spread(bits: int, dtype: str) -> str:
    """How a picture's values become those of the images."""
    largest, white = 2**bits - 1, np.iinfo(dtype).max
    if largest == white:
        rule = f"none: raw pixels, 0 to {white}"
    else:
        rule = f"values v of 0 to {largest} as round(v * {white} / {largest})"
    return rule if dtype == "uint8" else f"{rule}; of 8-bit pictures, v * {grey_levels.SPREAD}"


def proof(
    run: FinishedRun,
    name: str,
    file: Path,
    compared: pd.DataFrame,
    tolerance: parity.Tolerance,
    ruled: Agreement | None = None,
) -> dict[str, Any]:
    """The proof: what was compared, on which pictures, the result, and the files' hashes.

    `ruled` is the agreement under the decision beside the file.
    """
    packages = ("tensorflow", "keras", *formats.FORMATS[name].packages)
    summary = parity.summary(compared)
    failures = parity.failures(summary, tolerance)
    failures += ruled.failures(tolerance) if ruled else []
    return {
        "proven": not failures,
        "failures": failures,
        "format": name,
        "run": str(run.folder),
        "run_id": run.run_id,
        "image_size": list(compose.image_size(run.cfg)),
        "pictures": compared["picture"].nunique(),
        "tolerance": tolerance._asdict(),
        "networks": summary,
        "decision": ruled.as_json() if ruled else None,
        "bytes": sum(path.stat().st_size for path in files_of(file)),
        "sha256": {
            path.relative_to(file.parent).as_posix(): file_hash(str(path))
            for path in files_of(file)
        },
        "versions": {package: version(package) for package in packages},
    }


def files_of(file: Path) -> list[Path]:
    """The file itself, or the files of which a SavedModel's folder consists."""
    return sorted(path for path in (file, *file.rglob("*")) if path.is_file())


def write(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def show(proof: dict[str, Any]) -> None:
    """Prints one row per network that the file was compared with."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("network", no_wrap=True)
    for column in ("same class", "max Δ", "mean Δ", "ms", "file's ms"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in proof["networks"]:
        table.add_row(*cells(row))
    height, width = proof["image_size"]
    console = Console()
    what = f"{proof['pictures']} pictures of {height} × {width} px"
    console.print(f"{what}, one at a time; Δ is the difference of logits:")
    console.print(table)


def cells(row: dict[str, Any]) -> list[str]:
    differences = (row["max_logit_difference"], row["mean_logit_difference"])
    return [
        row["network"],
        f"{row['agreement']:.4%}",
        *("undefined" if value is None else f"{value:.2g}" for value in differences),
        f"{row['milliseconds']:.1f}",
        f"{row['exported_milliseconds']:.1f}",
    ]
