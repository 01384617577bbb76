"""The result of reading a data set's folder once: no picture or mask has to be read twice."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from flexunet_exp.data import defects, fingerprints, image_files, masks
from flexunet_exp.data.channels import RGB, Channels, digest
from flexunet_exp.data.class_pixels import count_pixels
from flexunet_exp.data.defects import Defect
from flexunet_exp.data.image_files import Header
from flexunet_exp.data.known_files import Form, KnownFiles, Packed
from flexunet_exp.data.masks.mask_values import ReadMask, Signs
from flexunet_exp.errors import InputError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NetworkView:
    """The `size` (height, width) at which a network sees a patch of `patch`, or a whole picture."""

    size: tuple[int, int]
    patch: tuple[int, int] | None = None

    @property
    def plain(self) -> list[Any]:
        """As JSON holds it."""
        return [[*self.size], self.patch and [*self.patch]]

    def size_of(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """The (height, width) at which the network sees a picture of this shape, all patches."""
        if self.patch is None:
            return self.size
        height, width = (
            max(1, round(side * seen / own))
            for side, seen, own in zip(shape, self.size, self.patch, strict=True)
        )
        return height, width


class PictureFacts(NamedTuple):
    """A decoded picture; its fingerprint is None where the scan had no `NetworkView`."""

    width: int
    height: int
    sha256: str
    header: Header
    fingerprint: np.ndarray | None


class MaskFacts(NamedTuple):
    """A decoded mask; its defects are None where the scan had no `NetworkView`."""

    shape: tuple[int, ...]  # (height, width)
    pixels: np.ndarray  # (C,) of each class
    off_palette: int  # pixels of no class colour
    defects: list[Defect] | None
    frame: int = -1  # the class of all pixels at the border; -1 where there are several
    turned: bool = False  # by an EXIF orientation of its own
    signs: Signs = Signs()


@dataclass
class Findings:
    """What a scan says of a folder: a problem ends a training, a warning does not.

    A note says how the folder was read, where that follows from its names alone.
    """

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ScanRecord:
    """The sample table of a folder, the facts of its files, and what is wrong with them.

    `readable` (N,) says of each row whether picture and mask could be read and have one size.
    `pictures` and `masks` are by the picture's path; a file that cannot be read is in neither.
    """

    table: pd.DataFrame
    readable: np.ndarray
    pictures: dict[str, PictureFacts]
    masks: dict[str, MaskFacts]
    problems: list[str]
    warnings: list[str]
    notes: list[str] = field(default_factory=list)  # of what is right, and worth a line
    decisions: dict[str, str] = field(default_factory=dict)  # arguments of the layout
    kept: KnownFiles = KnownFiles()  # where what is made of the facts is kept, too

    @property
    def fingerprints(self) -> dict[str, np.ndarray]:
        found = ((path, facts.fingerprint) for path, facts in self.pictures.items())
        return {path: fingerprint for path, fingerprint in found if fingerprint is not None}

    @property
    def pixels(self) -> dict[str, np.ndarray]:
        """Pixels of each class (C,) in each picture that has a mask."""
        return {path: facts.pixels for path, facts in self.masks.items()}

    def defects(self, image: str) -> list[Defect]:
        """The defects of a picture; none where it has no readable mask."""
        return (self.masks[image].defects or []) if image in self.masks else []

    def off_palette(self, image: str) -> int:
        """Pixels of no class colour in a picture's mask; 0 where it has no readable one."""
        return self.masks[image].off_palette if image in self.masks else 0

    @property
    def peaks(self) -> list[int]:
        """The largest value of each 16-bit picture."""
        headers = [facts.header for facts in self.pictures.values()]
        return [header.peak for header in headers if header.deep]

    def normalised(self) -> dict[str, int]:
        """How many pictures are not 8-bit RGB on disk, by what reading changes."""
        return image_files.normalised(facts.header for facts in self.pictures.values())


def accepted(record: ScanRecord) -> ScanRecord:
    """The record; logs what it says, and raises InputError with all problems where it has any."""
    for note in record.notes:
        log.info("%s", note)
    for warning in record.warnings:
        log.warning("%s", warning)
    if record.problems:
        raise InputError(record.problems)
    return record


def picture_facts(path: Path, view: NetworkView | None, channels: Channels = RGB) -> PictureFacts:
    """Reads and decodes a picture; InputError naming it where that fails."""
    contents = channels.contents(path)
    image, header = masks.decode_with_header(contents, path, channels)
    height, width = image.shape[:2]
    # Half precision: fingerprints are most of what a scan of many pictures keeps in memory.
    fingerprint = fingerprints.fingerprint(image).astype(np.float16) if view else None
    return PictureFacts(width, height, digest(contents), header, fingerprint)


def mask_facts(read: ReadMask, num_classes: int, view: NetworkView | None) -> MaskFacts:
    """The facts of a mask that was read."""
    mask, pixels = read.mask, count_pixels(read.mask, num_classes)
    found = defects.find(mask, view.size_of(mask.shape)) if view else None
    frame = frame_class(mask)
    return MaskFacts(mask.shape, pixels, read.odd, found, frame, read.turned, read.signs)


def frame_class(mask: np.ndarray) -> int:
    """The class of all pixels at the border of an index mask (H, W); -1 where it has several."""
    first = mask[0, 0]
    is_same = all((line == first).all() for line in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    return int(first) if is_same else -1


def pack_picture(facts: PictureFacts) -> Packed:
    print_ = b"" if facts.fingerprint is None else facts.fingerprint.tobytes()
    return [facts.width, facts.height, facts.sha256, facts.header._asdict()], print_


def unpack_picture(said: Any, array: bytes) -> PictureFacts:
    width, height, sha256, header = said
    own = Header(**{**header, "size": tuple(header["size"])})
    print_ = None
    if array:
        print_ = np.frombuffer(array, np.float16).reshape(fingerprints.SHAPE)
    return PictureFacts(int(width), int(height), str(sha256), own, print_)


def pack_mask(facts: MaskFacts) -> Packed:
    found = None if facts.defects is None else [*map(plain_defect, facts.defects)]
    rest = [facts.off_palette, facts.frame, facts.turned, [*facts.signs]]
    return [[*facts.shape], facts.pixels.tolist(), found, *rest], b""


def unpack_mask(said: Any, array: bytes) -> MaskFacts:
    shape, pixels, found, off_palette, frame, turned, signs = said
    defects_found = None if found is None else [*map(defect_of, found)]
    counted = np.array(pixels, np.int64)
    return MaskFacts(
        tuple(shape), counted, off_palette, defects_found, frame, turned, Signs(*signs)
    )


def plain_defect(defect: Defect) -> list[Any]:
    """A defect as JSON holds it."""
    places = None if defect.places is None else defect.places.tolist()
    return [*defect[:7], [*defect.shape], places]


def defect_of(said: Sequence[Any]) -> Defect:
    *numbers, shape, places = said
    where = None if places is None else np.array(places, np.int32)
    return Defect._make([*numbers, tuple(shape), where])


PICTURES = Form(pack_picture, unpack_picture)
MASKS = Form(pack_mask, unpack_mask)
