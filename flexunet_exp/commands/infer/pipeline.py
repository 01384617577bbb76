"""Reads pictures in threads, runs the network in the main thread, writes results in threads.

The network runs without a pause: pictures are decoded and resized ahead of it, and what is made of
its output is made behind it. Tiles are the exception: the network sees those of a picture in the
thread that makes its results. Only a few pictures are in memory at once, however many there are.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from flexunet_exp.commands.infer import older, records, tables, volumes
from flexunet_exp.commands.infer.outputs import Output
from flexunet_exp.commands.infer.reading import Read, Refusal, read, refusal, stamp
from flexunet_exp.commands.infer.records import Record, Records, rounded, significant
from flexunet_exp.commands.infer.report import Report
from flexunet_exp.commands.infer.volumes import VolumeInference, VolumeOptions
from flexunet_exp.data import find_pictures
from flexunet_exp.data.bit_depth import UNDECIDED
from flexunet_exp.data.channels import Channels
from flexunet_exp.data.find_pictures import Found, Picture
from flexunet_exp.prediction import deciding, regions, uncertainty
from flexunet_exp.prediction.predictor import Band, Prediction, members_of
from flexunet_exp.prediction.uncertainty import NONE
from flexunet_exp.system import interrupt, progress
from flexunet_exp.system.parallel import in_threads
from flexunet_exp.system.tensorflow import available_cores

if TYPE_CHECKING:
    from flexunet_exp.decisions.file import Decision
    from flexunet_exp.prediction.networks import TrainedNetworks

READERS = 2  # threads


@dataclass(frozen=True)
class Options:
    """What is written of a prediction. Smaller regions than `min_area` (px) are background.

    So are regions of a lower mean probability than `min_probability` (0 to 1).
    """

    min_area: int = 1
    min_probability: float = 0.0
    overlays: bool = True
    probabilities: bool = False
    uncertainty: str = NONE
    overwrite: bool = False
    volume: VolumeOptions = field(default_factory=VolumeOptions)

    @property
    def measures(self) -> bool:
        """Whether the uncertainty of pixels is written."""
        return self.uncertainty != NONE

    @property
    def kinds(self) -> list[str]:
        wanted = {
            "overlays": self.overlays,
            "probabilities": self.probabilities,
            "uncertainty": self.measures,
        }
        return ["masks", *(kind for kind, is_wanted in wanted.items() if is_wanted)]


class Waiting(NamedTuple):
    """A picture that is read, and its prediction as a predictor takes it."""

    read: Read
    ready: Any  # as the predictor's `ready` gives it


class Seen(NamedTuple):
    """A picture that the network has seen, or whose tiles it will see when the bands are taken."""

    read: Read
    bands: Iterator[tuple[Band, np.ndarray | None]]  # with the uncertainty of their pixels


class Predicted(NamedTuple):
    prediction: Prediction
    margin: float | None  # of the decision, if there is one
    unsure: np.ndarray | None  # (H, W) float16, if it is asked for


def infer(
    trained: TrainedNetworks,
    found: Sequence[Found],
    folder: Path,
    options: Options,
    run: str = "",
    decision: Decision | None = None,
) -> Report:
    """Predicts the pictures that `find_pictures` found files of into a folder, except those done.

    `run` names the network; `decision` says which pixels remain defects. The tables are written
    even after an interrupt. Raises InputError if the folder holds something else, or networks are
    asked to disagree that are one. A picture that cannot be read is refused, and the others are
    predicted.
    """
    uncertainty.check(options.uncertainty, trained.predictor)
    end = uncertainty.ENDS[options.uncertainty]
    output = Output(folder, trained.class_names, trained.palette, end)
    with records.opened(
        output, made_of(trained, options, run, decision), options.overwrite
    ) as done:
        whole = find_pictures.of_lights(found, trained.channels)
        pictures = find_pictures.named(whole, done.entries)
        waiting = [
            one for one in pictures if not is_done(one, done, output, options, trained.channels)
        ]
        report = Report(already=len(pictures) - len(waiting))
        try:
            flat, deep = volumes.divided(waiting)
            given = trained, output, done, options, report, decision
            Inference(*given).through(flat)
            VolumeInference(*given).through(deep)
        finally:
            more = decision is not None, options.measures
            tables.write(folder, done, report.refused, trained.class_names, *more)
    return report


def made_of(
    trained: TrainedNetworks, options: Options, run: str, decision: Decision | None = None
) -> dict[str, Any]:
    """Everything that decides the results: a folder holds results of one such description."""
    settings = trained.settings.decisive()
    limits = {"min_area": options.min_area, "min_probability": options.min_probability}
    others = {
        "decision": decision.rules if decision else None,
        "calibrated": temperatures(trained) if trained.settings.calibrated else None,
        "uncertainty": options.uncertainty if options.measures else None,
    }
    settings |= limits | {name: value for name, value in others.items() if value is not None}
    return {
        "run": run,
        "network": digest(trained),
        "classes": list(trained.class_names),
        "palette": trained.palette.tolist(),
        "settings": settings | reading_of(trained) | options.volume.decisive(),
    }


def reading_of(trained: TrainedNetworks) -> dict[str, Any]:
    """How pictures are read, which a lone network's file leaves to the command.

    Usual values are left out: older folders of results lack them.
    """
    bits, channels = trained.bit_depth, trained.channels
    given = {} if bits in (UNDECIDED, 16) else {"dataset.bit_depth": bits}
    return given | ({} if channels.is_rgb else {"dataset.channels": channels.configured})


def temperatures(trained: TrainedNetworks) -> list[list[float]]:
    """Of each network, one a class."""
    found = [member.temperatures for member in members_of(trained.predictor)]
    return [one.tolist() for one in found if one is not None]


def digest(trained: TrainedNetworks) -> str:
    """Hash of the weights and input sizes of all networks that predict together."""
    hashed = hashlib.blake2b(digest_size=16)
    for member in members_of(trained.predictor):
        hashed.update(str(tuple(member.size)).encode())
        for weights in member.model.weights:
            hashed.update(np.asarray(weights).tobytes())
    return hashed.hexdigest()


def is_done(
    picture: Picture, done: Records, output: Output, options: Options, channels: Channels
) -> bool:
    """Whether a picture is done: its files are unchanged, and all its output files exist."""
    entry = done.entries.get(picture.path)
    if entry is None or options.overwrite:
        return False
    try:
        state = stamp(picture.path, channels)
        if state != entry.stamp:
            return False
        if made := options.volume.made_of(picture.path):
            is_shown = options.volume.is_shown_by(entry.video)
            return is_shown and output.has_volume(made, entry.name)
        return output.has(options.kinds, entry.name)
    except OSError:  # reading the picture will give the reason
        return False


def makers_of_results() -> int:
    """Threads that make and write results: one a core, and two where there is one."""
    return max(2, available_cores())


@dataclass
class Inference:
    """One call of `infer`: reads, predicts and writes its pictures."""

    trained: TrainedNetworks
    output: Output
    done: Records
    options: Options
    report: Report
    decision: Decision | None = None

    def through(self, pictures: Sequence[Picture]) -> None:
        started = time.monotonic()
        ahead = self.trained.settings.batch_size
        makers = makers_of_results()
        with (
            closing(in_threads(self.read, pictures, READERS, ahead)) as images,
            closing(
                in_threads(self.write, self.predict(images), makers, ahead + makers)
            ) as written,
            progress.displayed(len(pictures)) as show,
        ):
            for outcome in written:
                interrupt.check()
                self.count(outcome)
                show(self.report.done + len(self.report.refused))
        self.report.seconds = time.monotonic() - started

    def read(self, picture: Picture) -> Waiting | Refusal:
        found = read(picture, self.trained.bit_depth, self.trained.channels)
        if isinstance(found, Refusal):
            return found
        return Waiting(found, self.trained.predictor.ready(found.image))

    def predict(self, images: Iterable[Waiting | Refusal]) -> Iterator[Seen]:
        """Runs the network over a batch after the other, in the main thread."""
        readable, same = itertools.tee(self.without_refused(images))
        seen = uncertainty.predicted(
            self.trained.predictor, (one.ready for one in readable), self.options.uncertainty
        )
        for bands, one in zip(seen, same, strict=True):
            yield Seen(one.read, bands)

    def without_refused(self, images: Iterable[Waiting | Refusal]) -> Iterator[Waiting]:
        for one in images:
            if isinstance(one, Refusal):
                self.count(one)
            else:
                yield one

    def predicted(self, seen: Seen) -> Predicted:
        """The most probable class of each pixel, from the bands."""
        size = seen.read.image.shape[0], seen.read.image.shape[1]
        unsure = np.empty(size, np.float16) if self.options.measures else None
        bands = uncertainty.kept(seen.bands, unsure)
        if self.options.probabilities:
            bands = self.output.keep_probabilities(seen.read.picture.name, bands, size)
        return Predicted(*deciding.collected(bands, size, self.decision), unsure)

    def write(self, seen: Seen) -> Record | Refusal:
        """Makes a picture's results and writes its files, and then its record."""
        picture, state, image = seen.read
        limits = self.options.min_area, self.options.min_probability
        try:
            (mask, certainty, anomaly), margin, unsure = self.predicted(seen)
            kept, found = regions.find(mask, certainty, self.trained.class_names, *limits)
            self.output.write_mask(picture.name, kept)
            if self.options.overlays:
                self.output.write_overlay(picture.name, image, kept, unsure)
            if unsure is not None:
                self.output.write_uncertainty(picture.name, unsure)
            made = self.output.paths(self.options.kinds, picture.name)
            older.remove(self.output, self.done, picture, state, made)
        except OSError as error:
            return refusal(picture, error)
        height, width = mask.shape
        record = Record(
            *(str(picture.path), picture.file, picture.name, state, width, height),
            significant(anomaly),
            rounded(found),
            margin,
            None if unsure is None else significant(uncertainty.mean(unsure, kept)),
        )
        self.done.append(record)
        return record

    def count(self, outcome: Record | Refusal) -> None:
        if isinstance(outcome, Refusal):
            self.report.refused[outcome.picture] = outcome.reason
            older.forget(self.output, self.done, outcome.picture, self.trained.channels)
        else:
            self.report.done += 1
            self.report.with_defect += bool(outcome.regions)
