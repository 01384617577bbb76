"""The labelled pictures of runs, with which unlabelled ones are compared."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from flexunet_exp.data import dataset as datasets
from flexunet_exp.data import fingerprints, masks, splits
from flexunet_exp.data.bit_depth import Bits
from flexunet_exp.data.channels import Channels
from flexunet_exp.errors import InputError
from flexunet_exp.labels import appearance
from flexunet_exp.runs.folder import FinishedRun
from flexunet_exp.system import interrupt, progress
from flexunet_exp.system.parallel import in_threads

log = logging.getLogger(__name__)

READERS, AHEAD = 2, 8  # threads; pictures read ahead


class Seen(NamedTuple):
    """What a picture is compared by."""

    look: np.ndarray  # (S, S, 2), of `appearance.look`
    fingerprint: np.ndarray  # (F, F)


class Known(NamedTuple):
    """The labelled pictures that could be read."""

    files: list[str]
    looks: np.ndarray  # (M, S, S, 2), of those that were trained on
    prints: np.ndarray  # (K, F, F), of all

    def original_of(self, fingerprint: np.ndarray) -> str | None:
        """The labelled picture of which this one is a near copy; None if there is none."""
        found = list(fingerprints.alike([fingerprint], self.prints))
        return self.files[min(found, key=lambda one: one.distance).second] if found else None


def of_runs(runs: Sequence[FinishedRun], bits: Bits, channels: Channels) -> Known:
    """The pictures of the runs' sample tables. Those that are missing are named in a warning."""
    table = labelled(runs)
    files = table["image"].tolist()
    log.info("Reading %d labelled pictures to compare with", len(files))
    see = partial(seen_or_none, bits=bits, channels=channels)
    found = list(with_progress(files, see))
    kept = [number for number, one in enumerate(found) if one is not None]
    if len(kept) < len(files):
        gone = next(file for file, one in zip(files, found, strict=True) if one is None)
        log.warning("%s", lacking(len(files) - len(kept), len(files), gone))
    seen = [one for one in found if one is not None]
    trained = table["trained"].to_numpy(bool)[kept]
    looks = [one.look for one, is_trained in zip(seen, trained, strict=True) if is_trained]
    side, fine = appearance.SIDE, fingerprints.SIDE - 2 * fingerprints.EDGE
    return Known(
        [files[number] for number in kept],
        np.array(looks, np.float32).reshape(-1, side, side, 2),
        np.array([one.fingerprint for one in seen], np.float32).reshape(-1, fine, fine),
    )


def labelled(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """A row for each labelled picture: `image`, and whether any of the runs `trained` on it.

    Augmented copies are left out where their original is there.
    """
    tables = [datasets.read_table(run.samples) for run in runs if run.samples.is_file()]
    if not tables:
        log.warning(
            "The run does not say which pictures it was made with: the pictures are compared "
            "among themselves alone, and some may be labelled already."
        )
        return pd.DataFrame({"image": [], "trained": []})
    table = pd.concat(tables)
    is_real = table["variant"].map(splits.is_real)
    table = table[is_real | ~table["source"].isin(table.loc[is_real, "source"])]
    trained = (table["split"] == "train").groupby(table["image"]).any()
    return pd.DataFrame({"image": trained.index, "trained": trained.to_numpy()})


def seen_or_none(file: str, bits: Bits, channels: Channels) -> Seen | None:
    try:
        return seen(masks.read_image(Path(file), bits, channels))
    except InputError:
        return None


def seen(image: np.ndarray) -> Seen:
    return Seen(appearance.look(image), fingerprints.fingerprint(image))


def with_progress(files: Sequence[str], see: partial) -> Iterator[Seen | None]:
    with (
        closing(in_threads(see, files, READERS, AHEAD)) as all_seen,
        progress.displayed(len(files)) as show,
    ):
        for done, one in enumerate(all_seen, 1):
            interrupt.check()
            yield one
            show(done)


def lacking(number: int, of: int, example: str) -> str:
    """A sentence for labelled pictures that cannot be read."""
    if number == of:
        return (
            f"None of the {of} labelled pictures can be read ({example} …): the pictures are "
            "compared among themselves alone, and some may be labelled already."
        )
    return (
        f"{number} of {of} labelled pictures cannot be read ({example} …): copies of them may be "
        "proposed."
    )
