"""A finished run in Python: its network predicts, its scores are tables."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from flexunet_exp.api import settings
from flexunet_exp.config import validation
from flexunet_exp.data import grey_levels, masks
from flexunet_exp.data.bit_depth import Bits
from flexunet_exp.data.channels import RGB, Channels
from flexunet_exp.errors import InputError
from flexunet_exp.prediction import deciding, regions
from flexunet_exp.prediction.regions import Region
from flexunet_exp.runs.folder import FinishedRun
from flexunet_exp.tracking import find_runs

if TYPE_CHECKING:
    from flexunet_exp.decisions.file import Decision
    from flexunet_exp.prediction.networks import TrainedNetworks

Picture = np.ndarray | str | os.PathLike  # an image (H, W, N), uint8 or uint16, or its file


@dataclass(frozen=True)
class Prediction:
    """A network's prediction of one picture, at the picture's own size."""

    mask: np.ndarray  # (H, W) uint8, an index of class_names
    certainty: np.ndarray  # (H, W) float16, the likeliest class's probability, 0 to 1
    probabilities: np.ndarray | None  # (H, W, C) float32, summing to one; None unless requested
    regions: pd.DataFrame  # one row per connected region of a defect class, in pixels
    anomaly: float  # 0 to 1, the highest probability of any defect
    class_names: tuple[str, ...]  # background first
    decision: str | None = None  # pass or stop; None where no decision was applied
    margin: float | None = None  # at least 0 where it is stopped; None likewise


class Scores(NamedTuple):
    """The figures of a split; NaN where one is undefined."""

    summary: pd.Series  # figure → value
    classes: pd.DataFrame  # one row per class
    images: pd.DataFrame  # one row per picture
    intervals: pd.DataFrame  # one row per figure: value, low, high (95 %), sources


class Run:
    """A finished run. `folder`, `config`, `scores` and `figures` need no network."""

    def __init__(self, found: FinishedRun, cfg: DictConfig, fetched: TemporaryDirectory):
        self._found, self._cfg = found, cfg
        self._fetched = fetched  # keeps a run fetched from the store as long as this object exists

    def __repr__(self) -> str:
        return f"<Run {self.folder}>"

    @property
    def folder(self) -> Path:
        """The run folder; a temporary one for a run that was fetched from the store."""
        return self._found.folder

    @property
    def run_id(self) -> str | None:
        """The run's id in the store; None if it was not found there."""
        return self._found.run_id

    @property
    def config(self) -> DictConfig:
        """A copy of the run's resolved configuration."""
        return self._found.cfg.copy()

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of a mask's indices, background first."""
        return tuple(entry.name for entry in self._found.cfg.dataset.classes)

    @property
    def figures(self) -> dict[str, Path]:
        """The pictures in the run folder by name, such as "train_losses" or "test/confusion"."""
        drawn = sorted((self.folder / "evaluation").glob("*/figures/*.png"))
        of_splits = {f"{path.parents[1].name}/{path.stem}": path for path in drawn}
        return {path.stem: path for path in sorted(self.folder.glob("*.png"))} | of_splits

    def scores(self, split: str = "test") -> Scores:
        """The figures of a split, "valid" or "test", read from the run folder.

        Raises InputError if the folder has none of this split.
        """
        from flexunet_exp.evaluation.results import read_evaluation
        from flexunet_exp.scores.record import IMAGES, read_table

        folder = self.folder / "evaluation" / split
        kept = read_evaluation(folder)
        summary = pd.Series(kept.summary, name=split)
        return Scores(summary, kept.classes, read_table(folder / IMAGES), kept.intervals)

    @overload
    def predict(  # type: ignore[overload-overlap] # a str is a sequence too, but matches here
        self,
        images: Picture,
        *,
        probabilities: bool = False,
        min_area: int = 1,
        min_probability: float = 0.0,
    ) -> Prediction: ...

    @overload
    def predict(
        self,
        images: Sequence[Picture],
        *,
        probabilities: bool = False,
        min_area: int = 1,
        min_probability: float = 0.0,
    ) -> list[Prediction]: ...

    def predict(
        self,
        images: Picture | Sequence[Picture],
        *,
        probabilities: bool = False,
        min_area: int = 1,
        min_probability: float = 0.0,
    ) -> Prediction | list[Prediction]:
        """The prediction of a picture, or of each in a list, as `flexunet infer` makes it.

        A picture is an array (H, W, 3) RGB, uint8 or uint16, of any size, or a file; with other
        `dataset.channels`, (H, W, N), a file of N channels, or the file of one light. Regions of
        fewer pixels than `min_area`, or a lower mean probability than `min_probability`, become
        background; they are not given beside a decision. Raises InputError with every picture that
        cannot be read, before anything is predicted.

        >>> picture = np.full((48, 80, 3), 127, np.uint8)
        >>> found = flexunet_exp.load_run("latest").predict(picture, min_area=5)
        >>> found.mask.shape, found.mask.dtype
        ((48, 80), dtype('uint8'))
        >>> list(found.regions.columns[:3])
        ['label', 'area', 'share']
        """
        limits = (min_area, min_probability)
        deciding.check_limits(self._decision, *limits)
        given = [images] if isinstance(images, Picture) else images
        read = read_all(given, self._trained.bit_depth, self._trained.channels)
        found = list(self._predictions(read, probabilities, limits))
        return found[0] if isinstance(images, Picture) else found

    @cached_property
    def _trained(self) -> TrainedNetworks:
        from flexunet_exp.prediction import networks  # imports Keras

        networks.prepare_process(self._found)
        options = deciding.options(self._decision, self._cfg.predict)
        return networks.load([self._found], options)

    @cached_property
    def _decision(self) -> Decision | None:
        return deciding.named(self._cfg.decision, [self._found], self._cfg.predict)

    def _predictions(
        self, pictures: Sequence[np.ndarray], probabilities: bool, limits: tuple[int, float]
    ) -> Iterator[Prediction]:
        for picture, bands in zip(pictures, self._trained.predictor(pictures), strict=True):
            kept = list(bands) if probabilities else bands
            (mask, certainty, anomaly), margin = deciding.collected(
                kept, picture.shape[:2], self._decision
            )
            mask, found = regions.find(mask, certainty, self.class_names, *limits)
            yield Prediction(
                mask,
                certainty,
                np.concatenate([band.probabilities for band in kept]) if probabilities else None,
                pd.DataFrame(found, columns=list(Region._fields)),
                anomaly,
                self.class_names,
                None if margin is None else deciding.outcome(margin),
                margin,
            )


def load_run(run: str | os.PathLike, *overrides: str) -> Run:
    """A finished run: its folder or id, `latest`, `best`, `models:/NAME@champion`, a .keras file.

    `overrides` are options of `flexunet infer`, such as "predict.tta=flips", "decision=careful",
    "tracking.uri=http://HOST:5000" or "dataset=zipper". The network is loaded at the first
    prediction. Raises InputError if there is no such run, or its folder is incomplete.

    >>> import flexunet_exp
    >>> run = flexunet_exp.load_run("latest")
    >>> run.class_names[0]
    'background'
    >>> bool(0 <= run.scores("test").summary["dice"] <= 1)
    True
    >>> run.figures["test/confusion"].name
    'confusion.png'
    >>> run.config.dataset.name
    'grid'
    """
    cfg = settings.composed("infer", overrides, "run", [os.fspath(run)])
    validation.check_sections(cfg, ("predict",))
    fetched = TemporaryDirectory(prefix="flexunet_run_")
    return Run(find_runs.find(cfg, Path(fetched.name)), cfg, fetched)


def read_all(pictures: Sequence[Picture], bits: Bits, channels: Channels = RGB) -> list[np.ndarray]:
    """The images (H, W, N); raises InputError with every picture that cannot be read."""
    images, problems = [], []
    for number, picture in enumerate(pictures, start=1):
        try:
            if isinstance(picture, np.ndarray):
                images.append(checked(picture, number, channels))
            else:
                images.append(masks.read_image(Path(picture).expanduser(), bits, channels))
        except InputError as error:
            problems += error.problems
        except OSError as error:
            problems.append(f"{picture}: cannot be read ({error.strerror}).")
    if problems:
        raise InputError(problems)
    return images


def checked(image: np.ndarray, number: int, channels: Channels) -> np.ndarray:
    is_image = image.dtype in grey_levels.DTYPES and image.ndim == 3 and image.size
    if is_image and image.shape[2] == channels.number:
        return image
    expected = f"(H, W, {channels.number}) of uint8 (0 to 255) or uint16 (0 to 65535)"
    if not channels.is_rgb:
        raise InputError(
            f"Picture {number} is an array {image.shape} of {image.dtype}; expected {expected}: "
            f"{', '.join(channels.names)}. Try numpy.dstack of {channels.number} arrays (H, W)."
        )
    raise InputError(
        f"Picture {number} is an array {image.shape} of {image.dtype}; expected {expected}, RGB. "
        "Give the file's path, or try "
        "numpy.asarray(PIL.Image.open(FILE).convert('RGB'))."
    )
