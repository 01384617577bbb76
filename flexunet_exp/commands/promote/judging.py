"""Decides whether a version replaces the champion, by paired scores of the same test pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from omegaconf import OmegaConf

from flexunet_exp.config import compose
from flexunet_exp.data import dataset
from flexunet_exp.errors import InputError
from flexunet_exp.runs.folder import FinishedRun
from flexunet_exp.scores import confusions, paired
from flexunet_exp.tracking.registry import RUN, fetch_files
from flexunet_exp.tracking.store import Store, has_learned

JUDGED = ("config.yaml", "samples.csv", "evaluation/test/confusions.npz")


class Verdict(NamedTuple):
    """Whether a version is better than the champion, and the reason with its figures."""

    is_better: bool
    because: str


FIRST = Verdict(True, "there was no champion.")
NOTHING_LEARNED = Verdict(
    False, "in no epoch did the run beat predicting nothing and everything (tag learned=false)."
)


SAME_NETWORK = Verdict(True, "it has the champion's network, with another decision.")


def verdict_on(
    store: Store, run: FinishedRun, version: Any, champion: Any | None, scratch: Path
) -> Verdict:
    """Whether a run's version replaces the champion, whose scores are fetched into `scratch`."""
    run_id = version.tags["run_id"]
    if champion and champion.tags.get("run_id") == run_id:
        return SAME_NETWORK
    if not has_learned(store.run_of(run_id, str(run.folder))):
        return NOTHING_LEARNED
    if champion is None:
        return FIRST
    return judge(run.folder, fetch_scores(store, champion, scratch))


def fetch_scores(store: Store, version: Any, folder: Path) -> Path:
    """Downloads the files of a version that `judge` reads; returns the run's folder in `folder`."""
    fetch_files(store, version, JUDGED, folder)  # what is missing is named when it is read
    return folder / RUN


def judge(challenger: Path, present: Path) -> Verdict:
    """Compares the runs in two folders on the test pictures of both."""
    try:
        result = difference(challenger, present)
    except InputError as error:
        return Verdict(False, str(error))
    figures = f"test macro Dice differs by {result.difference:+.4f}"
    if few := paired.too_few(result):
        return Verdict(False, f"{figures}; {few}.")
    figures += (
        f" (95 % interval {result.low:+.4f} to {result.high:+.4f}, {result.num_sources} sources)"
    )
    if not result.low > 0:
        return Verdict(False, f"{figures}; the interval must lie above 0.")
    return Verdict(True, f"{figures}.")


def difference(challenger: Path, present: Path) -> paired.PairedDifference:
    """The paired difference of the runs in two folders; InputError if they are not comparable."""
    new, old = (confusions.load_counts(counts_file(run)) for run in (challenger, present))
    if new.classes.tolist() != old.classes.tolist():
        raise InputError(
            f"the runs have different classes: {', '.join(new.classes)}; the champion has "
            f"{', '.join(old.classes)}."
        )
    tested, pictures = tested_pictures(challenger), tested_pictures(present)
    if hashes(tested) != hashes(pictures):
        common = len(hashes(tested) & hashes(pictures))
        raise InputError(
            f"the runs were tested on different pictures ({common} of {len(pictures)} are the "
            "same), so their scores are not comparable. Train the new run with the champion's "
            f"split: {split_words(present)}."
        )
    place = {name: index for index, name in enumerate(old.names)}
    counts = old.counts[[place[name] for name in new.names]]
    if not np.array_equal(new.counts.sum(axis=2), counts.sum(axis=2)):
        raise InputError("the masks of the test pictures changed between the runs.")
    rows = [tested[name] for name in new.names]
    sources, labels = (np.array([getattr(row, key) for row in rows]) for key in ("source", "label"))
    part = paired.Part(new.counts[None], counts[None], sources, labels)
    return paired.paired_difference([part])


def counts_file(run: Path) -> Path:
    return run / JUDGED[-1]


def tested_pictures(run: Path) -> dict[str, Any]:
    """The test rows of the run's sample table, by the names that its evaluation gives them."""
    table = dataset.read_table(run / "samples.csv")
    rows = dataset.rows(table[table["split"] == "test"])
    return {dataset.sample_name(row): row for row in rows}


def hashes(pictures: dict[str, Any]) -> set[tuple[str, str]]:
    return {(name, row.sha256) for name, row in pictures.items()}


def split_words(run: Path) -> str:
    """What to type for the same split: `split=folds split.n=5 split.fold=0 split.seed=0`."""
    split = compose.plain(OmegaConf.select(OmegaConf.load(run / "config.yaml"), "split"))
    kind = split.pop("_target_").rsplit(".", 1)[-1]
    settings = [f"split.{key}={value}".replace(" ", "") for key, value in split.items()]
    return " ".join([f"split={kind}", *settings])
