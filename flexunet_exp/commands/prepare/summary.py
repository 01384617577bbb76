"""The description of a prepared data set: manifest.csv, prepared.json and statistics.png."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd

import flexunet_exp
from flexunet_exp.commands.prepare.rows import PREPARED, Picture
from flexunet_exp.config.options import option
from flexunet_exp.config.options.row import NOTHING
from flexunet_exp.config.overrides import Word, task_overrides
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.data.sets.staging import MANIFEST, Stage
from flexunet_exp.data.splits import GOOD, SPLITS
from flexunet_exp.reporting import plots
from flexunet_exp.system.files import replace_file


def write(stage: Stage, pictures: Sequence[Picture], dataset: Dataset) -> None:
    """Writes the three files; equal settings and data give equal files."""
    manifest = pd.DataFrame(pictures, columns=list(Picture._fields))
    replace_file(stage.set / MANIFEST, manifest.to_csv(index=False).encode())
    counts = count(manifest, dataset)
    title = f"{dataset.name}: {len(manifest)} pictures of {manifest['source'].nunique()} sources"
    plots.stacked_counts(counts, stage.set / "statistics.png", title=title)
    record = {
        "made_by": PREPARED.made_by,
        "version": flexunet_exp.__version__,
        "command": command(),
        "data": dataset.digest,
        "pictures": {split: int((manifest["split"] == split).sum()) for split in SPLITS},
        "settings": stage.settings,
    }
    replace_file(stage.set / PREPARED.record, (json.dumps(record, indent=1) + "\n").encode())


def count(manifest: pd.DataFrame, dataset: Dataset) -> dict[str, pd.DataFrame]:
    """Split → originals and variants (columns) of each class and of `good` (rows)."""
    is_original = manifest["variant"] == "original"
    labels = [*dataset.class_names[1:], GOOD]
    parts = {"originals": manifest[is_original], "variants": manifest[~is_original]}
    return {
        split: pd.DataFrame(
            {
                kind: part.loc[part["split"] == split, "label"].value_counts().reindex(labels)
                for kind, part in parts.items()
            }
        ).fillna(0)
        for split in SPLITS
    }


def command() -> str:
    """The command that made the data set, without the words that only name folders."""
    words = [str(word) for word in task_overrides() if decides_bytes(word)]
    return " ".join(["flexunet prepare", *words])


def decides_bytes(word: Word) -> bool:
    """Whether another value would make other pictures; False for a folder, for example."""
    row = option(word.key, "prepare")
    return row is None or not (row.literal or row.changes is NOTHING)
