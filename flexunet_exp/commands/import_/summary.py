"""The description of an imported data set: manifest.csv and imported.json."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

import flexunet_exp
from flexunet_exp.commands.import_ import report
from flexunet_exp.commands.import_.pipeline import Plan
from flexunet_exp.commands.import_.rows import IMPORTED, Picture
from flexunet_exp.data.sets.staging import MANIFEST, Stage
from flexunet_exp.data.splits import SPLITS
from flexunet_exp.system.files import replace_file


def write(stage: Stage, plan: Plan, pictures: Sequence[Picture]) -> None:
    """Writes the two files; equal settings and data give equal files."""
    manifest = pd.DataFrame(pictures, columns=list(Picture._fields))
    replace_file(stage.set / MANIFEST, manifest.to_csv(index=False).encode())
    listed = zip(plan.classes.names, plan.classes.colours, strict=True)
    record = {
        "made_by": IMPORTED.made_by,
        "version": flexunet_exp.__version__,
        "data": plan.digest,
        "classes": [{"name": name, "color": list(colour)} for name, colour in listed],
        "labels": {label: plan.classes.values[label] for label in sorted(plan.classes.values)},
        "pictures": {split: int((manifest["split"] == split).sum()) for split in SPLITS},
        "objects": report.objects_of(pictures),
        "pixels": report.pixels_of(pictures),
        "losses": report.lost(pictures),
        "terms": plan.export.terms,
        "settings": stage.settings,
    }
    replace_file(stage.set / IMPORTED.record, (json.dumps(record, indent=1) + "\n").encode())


def rows_of(output: Path) -> list[Picture]:
    """The manifest of a finished set."""
    with open(output / MANIFEST, newline="") as file:
        return [Picture(**row) for row in csv.DictReader(file)]  # type: ignore[arg-type]


def record_of(output: Path) -> dict:
    return json.loads((output / IMPORTED.record).read_text())
