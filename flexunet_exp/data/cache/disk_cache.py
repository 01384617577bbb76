"""Decoded and resized samples on disk, built once for all runs, folds, seeds and processes."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import PIL
from rich.progress import track

from flexunet_exp.config import identity
from flexunet_exp.data import grey_levels
from flexunet_exp.data.cache import entry
from flexunet_exp.data.dataset import Dataset, file_hash, rows
from flexunet_exp.errors import InputError
from flexunet_exp.system import interrupt, locks
from flexunet_exp.system.parallel import on_all_cores

log = logging.getLogger(__name__)

WAITING = "Waiting for another process that builds the disk cache"
# Whose code decides the pixels.
READERS = (
    "data/bit_depth.py",
    "data/channels.py",
    "data/channel_files.py",
    "data/tiff_files.py",
    "data/masks",
    "data/annotations",
    "data/layouts",
)
VERSION = 1  # of the file format; `entry_key` covers the content
Origin = tuple[str, str, str]
Content = tuple[str, str, str, str]


class DiskCache:
    """The samples of a data set at one size (height, width), from an entry in `folder`.

    One process builds an entry that is missing or damaged, while the others wait. Raises
    InputError where the entry cannot be written, or a picture changes meanwhile.
    """

    def __init__(self, dataset: Dataset, size: tuple[int, int], folder: Path):
        self.dataset, self.size = dataset, size
        contents = contents_of(dataset.table)
        self.contents = sorted(set(contents.values()))
        place = {content: place for place, content in enumerate(self.contents)}
        self.places = {files: place[content] for files, content in contents.items()}
        self.path = folder / entry_key(dataset, size, self.contents)
        with advice(folder):
            while (arrays := self.opened()) is None:
                self.build()
        self.images, self.masks = arrays
        entry.record_use(self.path)

    def read(self, sample: Any) -> tuple[np.ndarray, np.ndarray]:
        """Image (H, W, N) of the data set's dtype and class mask (H, W) of a row of its table."""
        place = self.places[origin(sample)]
        return self.images.read(place), self.masks.read(place)

    def opened(self) -> list[entry.ArrayFile] | None:
        number, dataset = len(self.contents), self.dataset
        form = self.size, dataset.dtype, dataset.channels.number
        return entry.opened(self.path, number, *form)

    def build(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locks.temporary(entry.lock_of(self.path), locks.FOREVER, WAITING):
            if self.opened() is not None:
                return  # another process has built it meanwhile
            if self.path.exists():
                log.warning("The disk cache %s is damaged and is built again.", self.path)
            part = self.path.with_suffix(".part")
            for old in (self.path, part):
                entry.discard(old)
            try:
                self.fill(part)
                part.rename(self.path)
            except BaseException:
                entry.discard(part)
                raise

    def fill(self, part: Path) -> None:
        number, dataset = len(self.contents), self.dataset
        form = self.size, dataset.dtype, dataset.channels.number
        arrays = entry.create(part, dataset.name, number, *form)
        megabytes = sum(array.offset(number) for array in arrays) / 1e6
        refuse_if_full(part, megabytes)
        log.info("Disk cache: %d pictures go into %s (%.1f MB)", number, self.path, megabytes)
        samples = {self.places[origin(sample)]: sample for sample in rows(dataset.table)}

        def write(place: int) -> None:
            for array, pixels in zip(arrays, self.decoded(samples[place], place), strict=True):
                array.write(place, pixels)

        write_all(write, number)
        self.check_shared(samples)
        for array in arrays:
            array.finish()

    def decoded(self, sample: Any, place: int) -> tuple[np.ndarray, np.ndarray]:
        image, mask = self.dataset.read(sample, self.size)
        image_hash, mask_hash, _, is_shared = self.contents[place]
        is_same = self.dataset.image_hash(sample) == image_hash
        if not is_same or not (is_shared or file_hash(sample.mask) == mask_hash):
            raise InputError(f"{sample.image} or its mask has just been changed. Start again.")
        return grey_levels.converted(image, self.dataset.dtype), mask

    def check_shared(self, samples: Mapping[int, Any]) -> None:
        """Raises InputError where a file of many masks changed; it is hashed once."""
        hashes = {
            samples[place].mask: mask_hash
            for place, (_, mask_hash, _, is_shared) in enumerate(self.contents)
            if is_shared
        }
        for path, mask_hash in hashes.items():
            if file_hash(path) != mask_hash:
                raise InputError(f"{path} has just been changed. Start again.")


def origin(sample: Any) -> Origin:
    """A row's pixels by place: paths of picture and mask file, label."""
    return sample.image, sample.mask, sample.label


def contents_of(table: pd.DataFrame) -> dict[Origin, Content]:
    """The rows' pixels by content: hashes of picture and mask file, label, place in the latter.

    The place is the path from a file that holds the masks of several pictures to the picture, else
    "": equal pictures may have other masks there.
    """
    origins = dict.fromkeys(map(origin, rows(table)))
    pictures = Counter(mask for _, mask in {(image, mask) for image, mask, _ in origins})
    hashes = {mask: file_hash(mask) for mask in pictures}

    def place(image: str, mask: str) -> str:
        return os.path.relpath(image, mask) if mask and pictures[mask] > 1 else ""

    return {
        origin(sample): (
            sample.sha256,
            hashes[sample.mask],
            sample.label,
            place(sample.image, sample.mask),
        )
        for sample in rows(table)
    }


def entry_key(dataset: Dataset, size: tuple[int, int], contents: list[Content]) -> str:
    """Hash (16 hex digits) of all that decides the arrays of an entry and their order.

    The split is not part of it. The code that reads pictures is, since it decides the pixels.
    """
    code = code_of_pixels(dataset.recipe)
    read_as = [dataset.recipe, dataset.bit_depth, dataset.channels.configured]
    decisive = [VERSION, list(size), *read_as, code, contents]
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def code_of_pixels(settings: Any, *more: str) -> list[Any]:
    """What decides pixels beside files and settings: the libraries that decode, and code.

    That is the code of READERS, of `more` files of this package, and of other packages that a
    `_target_` of the settings names.
    """
    sources = identity.code_digests(*READERS, *more)
    return [identity.own_code_digests(settings), cv2.__version__, PIL.__version__, *sources]


def refuse_if_full(folder: Path, megabytes: float) -> None:
    """Raises OSError, before anything is written, where the disk has too little space."""
    free = shutil.disk_usage(folder).free / 1e6
    if free < megabytes:
        raise OSError(errno.ENOSPC, f"{megabytes:.1f} MB are needed, {free:.1f} MB are free")


def write_all(write: Callable[[int], None], number: int) -> None:
    """Calls `write` for 0..number - 1 on all cores, with a bar on a terminal; stops at an error."""
    no_terminal = not sys.stdout.isatty()
    with closing(on_all_cores(write, range(number))) as written:
        for _ in track(written, "disk cache", number, transient=True, disable=no_terminal):
            interrupt.check()


@contextmanager
def advice(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"The disk cache in {folder} cannot be used ({error.strerror}). Use "
            "dataset.cache=memory, or another place with cache_dir=FOLDER."
        ) from error
