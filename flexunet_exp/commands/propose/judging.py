"""Predicts the pictures once, and keeps of each what it is chosen and shown by."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from flexunet_exp.commands.propose.known import AHEAD, READERS, Known, Seen, seen
from flexunet_exp.data import masks
from flexunet_exp.data.bit_depth import Bits
from flexunet_exp.data.channels import Channels
from flexunet_exp.data.find_pictures import Picture
from flexunet_exp.errors import InputError
from flexunet_exp.labels import unsure
from flexunet_exp.labels.unsure import Place, Signals
from flexunet_exp.prediction.networks import TrainedNetworks
from flexunet_exp.prediction.predictor import Band
from flexunet_exp.system import interrupt, progress
from flexunet_exp.system.parallel import in_threads

WRITERS = 2  # threads


class Read(NamedTuple):
    picture: Picture
    image: np.ndarray  # (H, W, N) uint8 or uint16
    seen: Seen


class Refused(NamedTuple):
    """A picture that cannot be read, and why."""

    picture: Picture
    reason: str


class Copied(NamedTuple):
    """A near copy of a labelled picture."""

    picture: Picture
    original: str


class Judged(NamedTuple):
    """What is kept of a predicted picture."""

    picture: Picture
    seen: Seen
    places: list[Place]
    signals: Signals
    size: tuple[int, int]  # height, width
    packed: bytes

    @property
    def mask(self) -> np.ndarray:
        """The most probable class (H, W) uint8 of each pixel."""
        return np.frombuffer(zlib.decompress(self.packed), np.uint8).reshape(self.size)


@dataclass
class Report:
    """What became of the pictures."""

    judged: list[Judged] = field(default_factory=list)
    copied: list[Copied] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    @property
    def done(self) -> int:
        return len(self.judged) + len(self.copied) + len(self.refused)

    def add(self, one: Judged | Copied | Refused) -> None:
        if isinstance(one, Judged):
            self.judged.append(one)
        elif isinstance(one, Copied):
            self.copied.append(one)
        else:
            self.refused.append(one)


def judge(trained: TrainedNetworks, pictures: Sequence[Picture], known: Known) -> Report:
    """Reads and predicts the pictures, a few at once; near copies of known ones are not predicted.

    A picture that cannot be read is refused, and the others are judged.
    """
    report = Report()
    decode = partial(read, bits=trained.bit_depth, channels=trained.channels, known=known)
    with (
        closing(in_threads(decode, pictures, READERS, AHEAD)) as all_read,
        closing(
            in_threads(judged, predicted(trained, all_read, report), WRITERS, WRITERS)
        ) as results,
        progress.displayed(len(pictures)) as show,
    ):
        for one in results:
            interrupt.check()
            report.add(one)
            show(report.done)
    return report


def read(picture: Picture, bits: Bits, channels: Channels, known: Known) -> Read | Copied | Refused:
    try:
        image = masks.read_image(picture.path, bits, channels)
    except InputError as error:
        return Refused(picture, str(error))
    own = seen(image)
    original = known.original_of(own.fingerprint)
    return Read(picture, image, own) if original is None else Copied(picture, original)


def predicted(
    trained: TrainedNetworks, all_read: Iterable[Read | Copied | Refused], report: Report
) -> Iterator[tuple[Read, Iterator[tuple[Band, ...]]]]:
    """The pictures that are new, each with its members' bands; the others go to the report.

    Another thread may take the bands, while the network sees the next pictures.
    """
    first, second = itertools.tee(new(all_read, report))
    predictor: Any = trained.predictor  # one or several: each takes what its own `ready` gives
    predictions = predictor.members(predictor.ready(one.image) for one in first)
    yield from zip(second, predictions, strict=True)


def new(all_read: Iterable[Read | Copied | Refused], report: Report) -> Iterator[Read]:
    for one in all_read:
        interrupt.check()
        if isinstance(one, Read):
            yield one
        else:
            report.add(one)


def judged(found: tuple[Read, Iterator[tuple[Band, ...]]]) -> Judged:
    one, bands = found
    parts = [unsure.maps_of([member.probabilities for member in band]) for band in bands]
    maps = unsure.joined(parts)
    places = unsure.places(maps)
    size = maps.mask.shape[0], maps.mask.shape[1]
    # The quickest level: a mask of few regions becomes a few kilobytes.
    packed = zlib.compress(maps.mask.tobytes(), 1)
    signals = unsure.signals(places, maps.disagreement is not None)
    return Judged(one.picture, one.seen, places, signals, size, packed)
