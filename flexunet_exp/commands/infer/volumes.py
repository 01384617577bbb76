"""Volumes among the pictures: predicted slice by slice, each with one mask of its own format."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from flexunet_exp.commands.infer import older
from flexunet_exp.commands.infer.outputs import Output
from flexunet_exp.commands.infer.reading import Refusal, refusal, stamp
from flexunet_exp.commands.infer.records import Record, Records, Stamp, rounded, significant
from flexunet_exp.commands.infer.report import Report
from flexunet_exp.data.find_pictures import Found, Picture
from flexunet_exp.data.folders.listing import IMAGE_SUFFIXES
from flexunet_exp.data.volumes import opening
from flexunet_exp.data.volumes.slices import Slices, Window
from flexunet_exp.data.volumes.volume import SUFFIXES, scratch, suffix_of
from flexunet_exp.errors import InputError
from flexunet_exp.prediction import deciding, regions
from flexunet_exp.prediction.regions import Region
from flexunet_exp.reporting import videos
from flexunet_exp.system import interrupt, progress
from flexunet_exp.system.files import whole_or_nothing

if TYPE_CHECKING:
    from flexunet_exp.commands.infer.pipeline import Options
    from flexunet_exp.decisions.file import Decision
    from flexunet_exp.prediction.networks import TrainedNetworks

log = logging.getLogger(__name__)

INPUTS = (*IMAGE_SUFFIXES, *SUFFIXES)  # the files that infer takes
NO_VIDEO = "none"
File = TypeVar("File", Found, Picture)


@dataclass(frozen=True)
class VolumeOptions:
    """How volumes are read and shown: the section `volume`."""

    axis: int = 0
    turn: int = 0  # degrees, clockwise
    window: Window = "auto"
    key: str = "image"
    video: str = NO_VIDEO
    fps: int = 10

    def decisive(self) -> dict[str, Any]:
        """What decides the masks. Defaults are left out: older folders of results lack them."""
        given = asdict(self)
        if not isinstance(self.window, str):
            given["window"] = list(self.window)  # as it is read again
        return {
            f"volume.{field.name}": given[field.name]
            for field in fields(self)
            if field.name in ("axis", "turn", "window", "key")
            and given[field.name] != field.default
        }

    @property
    def shown(self) -> str:
        """The video as a record has it, such as `mp4 10`; empty if none is asked for."""
        return "" if self.video == NO_VIDEO else f"{self.video} {self.fps}"

    def is_shown_by(self, video: str) -> bool:
        """Whether a record's video is the one asked for; older records do not say which it is."""
        return self.shown in ("", video) or not video

    def made_of(self, path: Path) -> dict[str, str]:
        """The kinds of files that are made of a volume, with their suffixes; none of a picture."""
        suffix = suffix_of(path)
        if not suffix:
            return {}
        video = {} if self.video == NO_VIDEO else {"overlays": f".{self.video}"}
        return {"masks": suffix, **video}


def divided(found: Sequence[File]) -> tuple[list[File], list[File]]:
    """Pictures, and volumes."""
    flat = [one for one in found if not suffix_of(one.path)]
    return flat, [one for one in found if suffix_of(one.path)]


class FoundInSlice(NamedTuple):
    regions: list[Region]
    anomaly: float  # the highest 1 - p(background)
    margin: float | None  # of the decision, if there is one


@dataclass
class VolumeInference:
    """One call of `infer`: reads, predicts and writes its volumes, one after the other."""

    trained: TrainedNetworks
    output: Output
    done: Records
    options: Options
    report: Report
    decision: Decision | None = None

    def through(self, pictures: Sequence[Picture]) -> None:
        started = time.monotonic()
        for picture in pictures:
            outcome = self.attempted(picture)
            if isinstance(outcome, Refusal):
                self.report.refused[picture] = outcome.reason
                older.forget(self.output, self.done, picture, self.trained.channels)
            else:
                self.done.append(outcome)
                self.report.add_volume(outcome.depth, bool(outcome.regions))
        self.report.seconds += time.monotonic() - started

    def attempted(self, picture: Picture) -> Record | Refusal:
        own = self.options.volume
        try:
            self.check(picture)
            state = stamp(picture.path, self.trained.channels)
            with opening.opened(picture.path, own.key, self.output.folder) as volume:
                log.info("%s: %s", picture.file, " × ".join(map(str, volume.shape)))
                slices = Slices.of(volume, own.axis, own.turn, own.window)
                return self.predicted(picture, state, slices)
        except InputError as error:
            return Refusal(picture, "; ".join(error.problems))
        except OSError as error:
            return refusal(picture, error)

    def check(self, picture: Picture) -> None:
        """Raises InputError where no volume can be predicted as the command asks."""
        channels = self.trained.channels
        problems = [
            f"{picture.path}: slices of a volume are grey, but the network takes pictures of "
            f"{channels.typed}: predict it with a network of one channel, or of RGB."
        ] * (channels.number not in (1, 3) or bool(channels.lights))
        problems += [
            f"{picture.path}: probabilities=true writes those of pictures alone: predict volumes "
            "without it."
        ] * self.options.probabilities
        problems += [
            f"{picture.path}: uncertainty={self.options.uncertainty} writes that of pictures "
            "alone: predict volumes without it."
        ] * self.options.measures
        if problems:
            raise InputError(problems)

    def predicted(self, picture: Picture, state: Stamp, slices: Slices) -> Record:
        """Writes the mask and the video of a volume; its record."""
        target = self.output.prepared("masks", picture.name, suffix_of(picture.path))
        with scratch(slices.volume.shape, self.output.folder) as whole:
            with self.video(picture.name) as show:
                found = list(self.through_slices(slices, whole, show))
            with whole_or_nothing(target) as part:
                slices.volume.write(part, whole)
        made = self.output.paths_of_volume(self.options.volume.made_of(picture.path), picture.name)
        older.remove(self.output, self.done, picture, state, made)
        height, width = slices.size
        margins = [one.margin for one in found if one.margin is not None]
        return Record(
            *(str(picture.path), picture.file, picture.name, state, width, height),
            significant(max(one.anomaly for one in found)),
            [region for one in found for region in one.regions],
            max(margins, default=None),
            None,
            len(slices),
            [index for index, one in enumerate(found) for _ in one.regions],
            self.options.volume.shown,
        )

    def through_slices(
        self, slices: Slices, whole: np.ndarray, show: Callable[[np.ndarray, np.ndarray], None]
    ) -> Iterator[FoundInSlice]:
        """Predicts all slices in their order, and puts their masks into that of the volume."""
        images, same = itertools.tee(map(self.image, map(slices.picture, range(len(slices)))))
        predictions = self.trained.predictor(images)
        with progress.displayed(len(slices)) as done:
            for index, (bands, image) in enumerate(zip(predictions, same, strict=True)):
                interrupt.check()
                (mask, certainty, anomaly), margin = deciding.collected(
                    bands, slices.size, self.decision
                )
                limits = self.options.min_area, self.options.min_probability
                kept, here = regions.find(mask, certainty, self.trained.class_names, *limits)
                slices.put(index, kept, whole)
                show(image, kept)
                done(index + 1)
                yield FoundInSlice(rounded(here), anomaly, margin)

    def image(self, grey: np.ndarray) -> np.ndarray:
        """A grey slice (H, W) as the network's pictures are: all channels are equal."""
        return np.repeat(grey[..., None], self.trained.channels.number, axis=2)

    @contextmanager
    def video(self, name: str) -> Iterator[Callable[[np.ndarray, np.ndarray], None]]:
        """Yields a function that adds a slice and its mask to the video, if one is asked for."""
        options = self.options.volume
        if options.video == NO_VIDEO:
            yield lambda image, mask: None
            return
        target = self.output.prepared("overlays", name, f".{options.video}")
        named = self.trained.class_names, self.trained.palette
        with whole_or_nothing(target) as part, videos.opened(part, options.fps) as add:
            yield lambda image, mask: add(videos.frame(image, mask, *named))
