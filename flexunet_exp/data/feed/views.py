"""The fixed views of a picture that a training with kept features draws from.

View 0 is the picture as it is. Flips and quarter turns have all their combinations, at most eight;
of other augmentations, `augmentation.views` samples are drawn once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from flexunet_exp.data.augmentation import (
    HorizontalFlip,
    QuarterTurn,
    Transform,
    VerticalFlip,
    augment,
)
from flexunet_exp.data.tiles import Pair, Size
from flexunet_exp.errors import InputError

VIEW_STREAM = 20_000  # number of a random stream; those of the transforms count from 0


class Views:
    """The views of each picture: `number`, or as many as flips and turns have.

    `seed` and `origin`, which tells the defects that are pasted, decide sampled ones.
    """

    def __init__(
        self,
        transforms: Sequence[Transform],
        size: Size,
        number: int | None,
        seed: int,
        origin: str = "",
    ):
        self.transforms, self.seed, self.origin = tuple(transforms), seed, origin
        self.moves = moves(self.transforms, size) if number is None else None
        if self.moves is None and number is None:
            names = ", ".join(
                type(one).__name__ for one in transforms if not isinstance(one, EXACT)
            )
            raise InputError(
                f"dataset.cache=features computes the features of fixed views, and {names} of the "
                "augmentation gives endless ones. Type augmentation.views=16 for 16 samples of "
                "each picture, drawn once; or augmentation=flips"
            )
        self.number = number or len(self.moves or ())
        settings = [(type(one).__name__, sorted(settings_of(one))) for one in self.transforms]
        drawn = repr((settings, self.seed, self.origin)).encode()
        self.sampled = hashlib.sha256(drawn).hexdigest()[:12]

    def __len__(self) -> int:
        return self.number

    def of(self, pair: Pair, picture: str, view: int) -> Pair:
        """A view of an image and its mask; `picture` is the sha256 of the picture's file."""
        if view == 0:
            return pair
        if self.moves is not None:
            turns, mirrored = self.moves[view]
            return moved(pair[0], turns, mirrored), moved(pair[1], turns, mirrored)
        key = (self.seed, int(picture[:12], 16), view, VIEW_STREAM)
        return augment(self.transforms, *pair, key=key)

    def name(self, view: int) -> str:
        """A name of the view, which is another one for other transforms or another seed."""
        if view == 0:
            return "as_it_is"
        if self.moves is not None:
            turns, mirrored = self.moves[view]
            return f"turn{turns}{'_mirrored' if mirrored else ''}"
        return f"{self.sampled}_{view}"

    def drawn(self, seed: int, epoch: int, row: int, turn: int) -> int:
        """The view that a draw of an epoch shows."""
        generator = np.random.default_rng([seed, epoch, row, turn, VIEW_STREAM])
        return int(generator.integers(self.number))


EXACT = (HorizontalFlip, VerticalFlip, QuarterTurn)


def moves(transforms: Sequence[Transform], size: Size) -> list[tuple[int, bool]] | None:
    """(quarter turns, mirrored) of each combination; None where there are other transforms."""
    if not all(isinstance(one, EXACT) for one in transforms):
        return None
    found = {(0, False)}
    is_square = size[0] == size[1]
    for one in transforms:
        if isinstance(one, QuarterTurn):
            by = (0, 1, 2, 3) if is_square else (0, 2)
            found |= {((turns + more) % 4, mirrored) for turns, mirrored in found for more in by}
        else:
            # Upside down is mirrored and turned by half.
            half = 2 if isinstance(one, VerticalFlip) else 0
            found |= {((half - turns) % 4, not mirrored) for turns, mirrored in found}
    return sorted(found)


def moved(picture: np.ndarray, turns: int, mirrored: bool) -> np.ndarray:
    seen = picture[:, ::-1] if mirrored else picture
    return np.ascontiguousarray(np.rot90(seen, turns))


def settings_of(transform: Transform) -> Iterator[tuple[str, str]]:
    """The settings of a transform by name, without what it is given for a training."""
    for name, value in vars(transform).items():
        if isinstance(value, (str, int, float, list, tuple)):
            yield name, repr(value)
