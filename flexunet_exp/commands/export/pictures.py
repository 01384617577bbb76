"""The pictures on which an exported file is proven: real ones, as the network sees them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from flexunet_exp.config import compose
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data import find_pictures, grey_levels, masks
from flexunet_exp.data.bit_depth import Bits
from flexunet_exp.data.channels import Channels
from flexunet_exp.errors import InputError
from flexunet_exp.runs.folder import FinishedRun

GIVE = "Give pictures on which the file can be compared with the network: input=PATH"


def choose(run: FinishedRun, words: Sequence[str] | None, number: int, output: Path) -> list[Path]:
    """`number` pictures, or all if there are fewer: those that `words` name, else the run's own.

    They are spread evenly over the list, which is sorted by class. Raises InputError if there are
    no pictures.
    """
    channels = Channels.of(compose.channels(run.cfg))
    given = find_pictures.of_lights(find_pictures.find(words, output), channels) if words else ()
    paths = [found.path for found in given] or own_pictures(run)
    places = np.linspace(0, len(paths) - 1, min(number, len(paths)))
    return [paths[place] for place in places.round().astype(int)]


def own_pictures(run: FinishedRun) -> list[Path]:
    """The run's test pictures, else those of valid; InputError if none, or a file is gone."""
    if not run.samples.is_file():
        raise InputError(
            f"{run.network} is not in a run folder, so its pictures are unknown. {GIVE}"
        )
    table = datasets.read_table(run.samples)
    split = next((one for one in ("test", "valid") if (table["split"] == one).any()), "")
    paths = [Path(path) for path in table.loc[table["split"] == split, "image"]]
    if not paths:
        raise InputError(f"{run.samples} names no test picture. {GIVE}")
    if gone := [path for path in paths if not path.is_file()]:
        raise InputError(
            f"{len(gone)} of {len(paths)} {split} pictures of the run {run.folder} are gone, such "
            f"as {gone[0]}. {GIVE}"
        )
    return paths


def read(
    paths: Sequence[Path], size: tuple[int, int], bits: Bits, dtype: str, channels: Channels
) -> Iterator[tuple[Path, np.ndarray]]:
    """Each picture's path and its pixels (1, H, W, N) of `dtype`, resized to `size` (height,
    width).

    `bits` are those of the values in 16-bit pictures.
    """
    for path in paths:
        image = masks.resize_image(masks.read_image(path, bits, channels), size)
        yield path, grey_levels.converted(image, dtype)[np.newaxis]
