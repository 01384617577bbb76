"""The masks that finished runs predict: of their test pictures, or of any pictures."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from omegaconf import DictConfig

from flexunet_exp.commands.export_labels import settings
from flexunet_exp.commands.export_labels.reading import Labels, samples_of
from flexunet_exp.config import compose
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data import find_pictures, masks
from flexunet_exp.data.annotations.writing import Sample
from flexunet_exp.data.annotations.writing.naming import classes_of, distinct
from flexunet_exp.data.bit_depth import Bits
from flexunet_exp.data.channels import Channels
from flexunet_exp.data.find_pictures import Found
from flexunet_exp.errors import InputError
from flexunet_exp.prediction import regions
from flexunet_exp.prediction.predictor import Ensemble, Predictor, collect
from flexunet_exp.runs.folder import FinishedRun
from flexunet_exp.tracking import find_runs

if TYPE_CHECKING:
    from flexunet_exp.prediction.networks import TrainedNetworks

log = logging.getLogger(__name__)

Read = tuple[Sample, np.ndarray]  # a picture and its pixels (H, W, N)
Masks = Iterator[tuple[Sample, np.ndarray]]  # (H, W) uint8


def of_runs(cfg: DictConfig, output: Path, scratch: Path) -> Labels:
    """What the runs of `run=` predict: of `input=` together, else each of its test pictures.

    Runs that are fetched from the store lie in `scratch` as long as masks are taken. Raises
    InputError with every problem of the runs or of the pictures' names.
    """
    runs = runs_of(cfg, scratch)
    log.info("Predicted by %s", ", ".join(run.run_id or str(run.network) for run in runs))
    return of_pictures(cfg, runs, output) if cfg.input else of_test(cfg, runs, output)


def runs_of(cfg: DictConfig, scratch: Path) -> list[FinishedRun]:
    """The runs of `run=`, of one set of classes, with this process prepared for their networks."""
    runs = find_runs.find_all(cfg, scratch)
    if problems := [
        f"{run.network} does not lie in a run folder, so its classes are not known. Give a run: "
        "run=RUN"
        for run in runs
        if not run.samples.is_file()
    ]:
        raise InputError(problems)
    from flexunet_exp.prediction import networks

    networks.check_classes(runs)
    networks.prepare_process(runs[0])
    return runs


def of_pictures(cfg: DictConfig, runs: Sequence[FinishedRun], output: Path) -> Labels:
    """The masks of any pictures, predicted by the runs together, as flexunet infer does."""
    from flexunet_exp.prediction import networks

    pictures = found(cfg, output)
    return of_found(cfg, networks.load(runs, cfg.predict), pictures)


def found(cfg: DictConfig, output: Path) -> list[Found]:
    """The files of `input=`, of which none lies below `output`."""
    words = [cfg.input] if isinstance(cfg.input, str) else cfg.input
    return find_pictures.find(words, output)


def of_found(cfg: DictConfig, trained: TrainedNetworks, pictures: Iterable[Found]) -> Labels:
    """The masks of pictures; the files of all lights are one picture."""
    files = [one.path for one in find_pictures.of_lights(pictures, trained.channels)]
    samples = [Sample(file, name, "") for file, name in zip(files, distinct(files), strict=True)]
    refused: list[str] = []
    read = readable(samples, trained.bit_depth, trained.channels, refused)
    drawn = predicted(trained.predictor, read, trained.class_names, cfg)
    return Labels(classes_of(trained.class_names, trained.palette), samples, drawn, refused)


def of_test(cfg: DictConfig, runs: Sequence[FinishedRun], output: Path) -> Labels:
    """The masks of each run's test pictures; runs with the same ones predict them together."""
    from flexunet_exp.evaluation import folds

    groups = folds.groups(runs, ensemble=True)
    tables = [folds.table_of(group[0]) for group in groups]
    tested = [row for table in tables for row in datasets.rows(table[table["split"] == "test"])]
    if not tested:
        raise InputError(f"run={cfg.run} has no test pictures. Give others: input=PICTURES")
    samples = samples_of(tested)
    settings.check_outside(samples, output)
    known = compose.plain(runs[0].cfg.dataset.classes)
    palette = np.array([one["color"] for one in known], np.uint8)
    classes = classes_of([one["name"] for one in known], palette)
    return Labels(classes, samples, tested_masks(cfg, groups, samples))


def tested_masks(
    cfg: DictConfig, groups: list[list[FinishedRun]], samples: Iterable[Sample]
) -> Masks:
    """Loads the networks of one group after the other; `samples` are in the groups' order."""
    from flexunet_exp.evaluation import parts

    rest = iter(samples)
    for part in parts.own_parts(groups, cfg.predict):
        rows = list(datasets.rows(part.dataset.split("test")))
        read = zip(
            itertools.islice(rest, len(rows)), map(part.dataset.read_image, rows), strict=True
        )
        yield from predicted(part.predictor, read, part.dataset.class_names, cfg)


def readable(
    samples: Iterable[Sample], bits: Bits, channels: Channels, refused: list[str]
) -> Iterator[Read]:
    """The pictures that can be read; adds to `refused` why others cannot."""
    for sample in samples:
        try:
            yield sample, masks.read_image(sample.file, bits, channels)
        except InputError as error:
            refused += error.problems


def predicted(
    predictor: Predictor | Ensemble, read: Iterable[Read], names: Sequence[str], cfg: DictConfig
) -> Masks:
    """The mask of each picture, without the regions below `min_area` or `min_probability`."""
    first, second = itertools.tee(read)
    for bands, (sample, image) in zip(predictor(one for _, one in first), second, strict=True):
        mask, certainty, _ = collect(bands, (image.shape[0], image.shape[1]))
        limits = cfg.min_area, cfg.min_probability
        yield sample, regions.find(mask, certainty, names, *limits)[0]
