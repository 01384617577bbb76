"""Which pictures an epoch shows, in which order, and which part: a pure function of the epoch.

Every place of an epoch belongs to one stream: a patch near a defect, a good picture, or the next
picture of all. Streams are mixed so that consecutive places, such as a batch, have the share of
each stream to within two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from flexunet_exp.data.feed.good_share import START
from flexunet_exp.data.splits import GOOD
from flexunet_exp.errors import InputError


class Draw(NamedTuple):
    """One place of an epoch: the picture, and the part of it."""

    row: int  # of the training split
    turn: int  # how often this stream has shown the picture in this epoch, from 0
    focus: int = 0  # class of the pixel to look at; 0: anywhere


class Stream(NamedTuple):
    """A share of all places, dealt evenly over groups of pictures, whatever their sizes."""

    share: float
    groups: tuple[np.ndarray, ...]  # of rows
    focus: tuple[int, ...]  # of each group


@dataclass(frozen=True)
class Sampler:
    """The draws of each epoch, `len()` of them, from `streams` whose shares sum to 1."""

    streams: tuple[Stream, ...]
    length: int
    seed: int

    def __len__(self) -> int:
        return self.length

    def epoch(self, epoch: int) -> list[Draw]:
        """The draws of an epoch; `seed` and `epoch` alone decide them."""
        generator = np.random.default_rng([self.seed, epoch])
        places = interleaved([stream.share for stream in self.streams], self.length, generator)
        counts = np.bincount(places, minlength=len(self.streams)).tolist()
        dealt = [
            deal(stream, count, generator)
            for stream, count in zip(self.streams, counts, strict=True)
        ]
        return [next(dealt[stream]) for stream in places]


@dataclass(frozen=True)
class Adaptive:
    """The draws of a sampler whose share of good pictures changes from epoch to epoch."""

    sampler_of: Callable[[float], Sampler]  # by the share of good pictures
    share_of: Callable[[int], float]  # by the epoch

    @cached_property
    def first(self) -> Sampler:
        """The sampler of the first epochs; its seed and its length are those of all."""
        return self.sampler_of(START)

    @property
    def seed(self) -> int:
        return self.first.seed

    def __len__(self) -> int:
        return len(self.first)

    def epoch(self, epoch: int) -> list[Draw]:
        """The draws of an epoch; the seed, the epoch and its share alone decide them."""
        return self.sampler_of(self.share_of(epoch)).epoch(epoch)


def sampler(
    labels: Sequence[str],
    shows: np.ndarray,
    seed: int,
    sampling: str = "uniform",
    good_share: float | None = None,
    foreground: float = 0.0,
    per_image: int = 1,
) -> Sampler:
    """How the pictures of a training split are drawn, `per_image` times their number an epoch.

    `labels` has the label of each picture; `shows` (N, C) is true where a picture shows a class.
    `uniform` draws every picture equally often, `balanced` every label. `good_share` is the share
    of defect-free pictures (None: their share of the split). `foreground` is the share of draws
    around a pixel of a defect, evenly over the classes that are shown. Both together are at most 1.
    Raises InputError where `good_share` needs pictures that the split lacks.
    """
    names = np.asarray(labels)
    rows, good = np.arange(len(names)), names == GOOD
    refuse_impossible(good, good_share)
    others = rows if good_share is None else rows[~good]
    kinds = sorted(set(names[others])) if sampling == "balanced" else []
    groups = [others[names[others] == kind] for kind in kinds] or [others]
    classes = [c for c in range(1, shows.shape[1]) if shows[:, c].any()] if foreground else []
    share = good_share or 0.0
    focused = foreground if classes else 0.0  # a split of good pictures alone has no defect
    streams = [
        Stream(focused, tuple(rows[shows[:, c].astype(bool)] for c in classes), tuple(classes)),
        Stream(share, (rows[good],), (0,)),
        Stream(1 - focused - share, tuple(groups), (0,) * len(groups)),
    ]
    kept = tuple(stream for stream in streams if stream.share > 1e-9)
    return Sampler(kept, len(names) * per_image, seed)


def refuse_impossible(good: np.ndarray, good_share: float | None) -> None:
    problems = []
    if good_share and not good.any():
        problems.append(
            f"dataset.good_share={good_share}, but the training split has no defect-free picture. "
            "Try dataset.good=all, or dataset.good_share=null"
        )
    if good_share is not None and good.all():
        problems.append(
            f"dataset.good_share={good_share}, but the training split has no picture of a defect. "
            "Try dataset.good_share=null"
        )
    if problems:
        raise InputError(problems)


def interleaved(shares: Sequence[float], length: int, generator: np.random.Generator) -> np.ndarray:
    """The stream of each of `length` places; up to any place, each share is met to within 2.

    Each stream has due times at equal distances, and places go to the streams in the order of these
    times. The first due time is random: else an epoch of few places would never show the stream of
    the smallest share.
    """
    due = [
        (np.arange(math.ceil(length * share) + 1) + generator.random()) / share for share in shares
    ]
    streams = np.repeat(np.arange(len(shares)), [len(times) for times in due])
    return streams[np.argsort(np.concatenate(due), kind="stable")][:length]


def deal(stream: Stream, count: int, generator: np.random.Generator) -> Iterator[Draw]:
    """`count` draws: the groups in turn, and all pictures of a group before one is repeated."""
    number = len(stream.groups)
    decks = [Deck(group, generator) for group in stream.groups]
    rounds = (generator.permutation(number) for _ in range(math.ceil(count / number)))
    for group in [int(group) for turn in rounds for group in turn][:count]:
        yield Draw(*decks[group].draw(), stream.focus[group])


class Deck:
    """Pictures in random order, shuffled again when all have been shown."""

    def __init__(self, rows: np.ndarray, generator: np.random.Generator):
        self.rows, self.generator = rows, generator
        self.drawn = 0
        self.order = rows

    def draw(self) -> tuple[int, int]:
        """A row, and how often it was drawn before."""
        turn, place = divmod(self.drawn, len(self.rows))
        if place == 0:
            self.order = self.generator.permutation(self.rows)
        self.drawn += 1
        return int(self.order[place]), turn
