"""Makes the finished set from a scanned folder: each source once, in threads, then recorded."""

from __future__ import annotations

import logging
import math
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import cv2
from omegaconf import DictConfig

from flexunet_exp.commands.prepare import names, pasted
from flexunet_exp.commands.prepare.rows import Picture
from flexunet_exp.commands.prepare.variants import Maker, Source
from flexunet_exp.config import building, compose
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data import splits
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.data.layouts import GOOD_FOLDERS
from flexunet_exp.data.scan_record import accepted
from flexunet_exp.data.sets.staging import Stage
from flexunet_exp.errors import Hopeless
from flexunet_exp.system import interrupt, progress
from flexunet_exp.system.parallel import in_threads

ORIGINAL = "original"  # the variant of a picture as it is
log = logging.getLogger(__name__)

SHARE = 0.35  # about the size of a picture's file by the bytes of its pixels


def load(cfg: DictConfig, raw: Path) -> Dataset:
    """The raw folder, scanned and split by source; InputError with every problem of the data."""
    record = accepted(datasets.scan(cfg, raw, compose.bit_depth(cfg)))
    datasets.log_normalised(record)
    return datasets.split_up(cfg, datasets.of_scan(cfg, record))


def size_of(cfg: DictConfig) -> tuple[int, int] | None:
    """(height, width) of the written pictures; None if each picture keeps its own size."""
    return None if cfg.dataset.image_size is None else compose.image_size(cfg)


def make(cfg: DictConfig, dataset: Dataset, raw: Path, stage: Stage) -> list[Picture]:
    """Makes the pictures that the stage lacks; returns all pictures, in the order of the table."""
    found = sources(dataset)
    waiting = [source for source in found if source.name not in stage.done]
    number = sum(expected(cfg, source) for source in found)
    missing = sum(expected(cfg, source) for source in waiting)
    log.info("%d pictures of %d sources", number, len(found))
    if missing < number:
        log.info("%d of them are there already", number - missing)
    warn_of_space(cfg, dataset, stage.folder, missing)
    transforms = [building.build(node) for node in cfg.augmentation.transforms]
    balanced = cfg.dataset.sampling == "balanced"
    maker = Maker(
        dataset,
        raw,
        stage.set,
        pasted.transforms_of(transforms, dataset, size_of(cfg), balanced),
        pasted.lineage(dataset, raw, names.of_sources(dataset.table["source"])),
        size_of(cfg),
        cfg.variants,
        list(cfg.augment_splits),
        cfg.seed,
    )
    through(maker, waiting, stage, missing, cfg.workers or os.cpu_count() or 1)
    return [picture for source in found for picture in stage.done[source.name]]


def sources(dataset: Dataset) -> list[Source]:
    named = names.of_sources(dataset.table["source"])
    return [
        Source(named[str(name)], str(rows["split"].iloc[0]), list(datasets.rows(rows)))
        for name, rows in dataset.table.groupby("source", sort=False)
    ]


def expected(cfg: DictConfig, source: Source) -> int:
    """The number of pictures made of a source; they are fewer if its rows contain copies."""
    return len(source.rows) * (cfg.variants if source.split in cfg.augment_splits else 1)


def through(
    maker: Maker, waiting: Sequence[Source], stage: Stage, number: int, workers: int
) -> None:
    """Makes each waiting source, and records it in the journal."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the sources already take all cores
    done = 0
    try:
        with (
            closing(in_threads(maker, waiting, workers, ahead=2 * workers)) as made,
            progress.displayed(number) as show,
        ):
            for source, pictures in zip(waiting, made, strict=True):
                interrupt.check()
                stage.keep(source.name, pictures)
                done += len(pictures)
                show(done)
    finally:
        cv2.setNumThreads(threads)


def warn_of_space(cfg: DictConfig, dataset: Dataset, folder: Path, number: int) -> None:
    own = (dataset.table["width"] * dataset.table["height"]).mean()
    pixels = math.prod(size_of(cfg) or (own,))
    wanted, free = SHARE * 3 * pixels * number, shutil.disk_usage(folder).free
    if wanted > free:
        log.warning(
            "About %.1f GB will be written, and %.1f GB are free in %s.",
            wanted / 1e9,
            free / 1e9,
            folder.parent,
        )


def refuse_leaks(pictures: Sequence[Picture]) -> None:
    """Raises Hopeless if equal pictures of several sources are in different splits.

    Identical raw files already count as one source. These pictures are equal in different files.
    """
    first: dict[str, Picture] = {}
    problems = [
        f"{one.original} ({one.split}) and {other.original} ({other.split}) are the same picture "
        "in two files. Remove one of them, and its mask."
        for one in pictures
        if (other := first.setdefault(one.sha256, one)).split != one.split
    ]
    if problems:
        raise Hopeless(problems)


def warn_of_lost(pictures: Sequence[Picture]) -> None:
    """Logs a warning if raw pictures of a defect show no defect at the chosen size."""
    lost = [one.original for one in pictures if is_emptied(one) and one.variant == ORIGINAL]
    if lost:
        log.warning(
            "%d pictures lost their defect when they were resized and count as good now, such as "
            "%s. Choose a larger dataset.image_size.",
            len(lost),
            lost[0],
        )


def sentence(pictures: Sequence[Picture]) -> str:
    counts = Counter(one.split for one in pictures)
    dealt = ", ".join(f"{counts[split]} {split}" for split in splits.SPLITS)
    emptied = sum(is_emptied(one) and one.variant != ORIGINAL for one in pictures)
    lost = f" {emptied} variants show no defect any more." if emptied else ""
    return f"{len(pictures)} pictures: {dealt}.{lost}"


def is_emptied(picture: Picture) -> bool:
    """Whether a picture of a defect has a mask that no longer shows it."""
    was_good = picture.source.rpartition("_")[0] in GOOD_FOLDERS["all"].values()
    return picture.label == splits.GOOD and not was_good
