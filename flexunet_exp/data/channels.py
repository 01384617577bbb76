"""Which channels pictures have: red, green and blue, another number, or one for each light.

With lights, the picture STEM is one grey file a light, STEM_<light>.png; its path in tables is that
of the first light. A network of lights also reads one file that has all of its channels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from flexunet_exp.data import grey_levels, image_files
from flexunet_exp.data.grouping import Problem
from flexunet_exp.errors import InputError

MOST = 8  # channels of a picture
COLOURS = ("red", "green", "blue")


class Channels(NamedTuple):
    """What `dataset.channels` says; three without lights are red, green and blue."""

    number: int = 3
    lights: tuple[str, ...] = ()

    @classmethod
    def of(cls, configured: int | Sequence[str]) -> Channels:
        """The channels of a number, or of the names of the lights."""
        if isinstance(configured, int):
            return cls(configured)
        return cls(len(configured), tuple(configured))

    @property
    def is_rgb(self) -> bool:
        return self == RGB

    @property
    def configured(self) -> int | list[str]:
        """The value of `dataset.channels`."""
        return list(self.lights) or self.number

    @property
    def typed(self) -> str:
        """The option as it is typed: dataset.channels=5, or dataset.channels=[left,right]."""
        lights = ",".join(self.lights)
        return f"dataset.channels=[{lights}]" if lights else f"dataset.channels={self.number}"

    @property
    def names(self) -> tuple[str, ...]:
        """What each channel is called."""
        if self.is_rgb:
            return COLOURS
        return self.lights or tuple(f"channel {number}" for number in range(1, self.number + 1))

    def light_of(self, stem: str) -> str:
        """The light that the stem of a file ends in; empty if there is none."""
        fitting = [light for light in self.lights if stem.endswith(f"_{light}")]
        return max(fitting, key=len, default="")

    def stem_of(self, path: Path) -> str:
        """The stem of the picture that a file is a part of: STEM of STEM_left.png."""
        light = self.light_of(path.stem)
        return path.stem.removesuffix(f"_{light}") if light else path.stem

    def files(self, path: Path) -> list[Path]:
        """The files of a picture, in the order of the lights; `path` is that of one light.

        A file that ends in no light is the whole picture.
        """
        if not self.light_of(path.stem):
            return [path]
        stem = self.stem_of(path)
        return [path.with_name(f"{stem}_{light}{path.suffix}") for light in self.lights]

    def contents(self, path: str | Path) -> list[bytes]:
        """The bytes of each file of a picture; InputError with every file that is missing."""
        files = self.files(Path(path))
        gone = [file for file in files if len(files) > 1 and not file.exists()]
        if gone:
            raise InputError([missing(file, self) for file in gone])
        return [image_files.read_bytes(file) for file in files]


RGB = Channels()


def missing(file: Path, channels: Channels) -> Problem:
    return Problem(
        file,
        f"there is no such file; with {channels.typed} each picture has a file for each light",
        "Add it, or remove the other lights of this picture.",
        f"files of a light are missing; with {channels.typed} each picture has a file for each",
    )


def other_number(path: str | Path, found: int, wanted: Channels) -> Problem:
    """The problem of a file with another number of channels than is wanted; up to MOST are told."""
    fits = found <= MOST
    said = f"{found} channel{'s' * (found > 1)}" if fits else f"more than {MOST} channels"
    if wanted.lights:
        return Problem(
            path,
            f"has {said}; the file of a light has one",
            "Save it as grey.",
            f"files of a light have {said}, expected one",
        )
    mend = f"If all pictures have {found}, train with dataset.channels={found}"
    return Problem(
        path,
        f"has {said}, expected {wanted.number}",
        mend if fits else f"At most {MOST} can be read: save those that are wanted.",
        f"pictures have {said}, expected {wanted.number}",
        mends={"dataset.channels": str(found)} if fits else {},
    )


def digest(contents: Sequence[bytes]) -> str:
    """The sha256 of a picture's file; of several files, that of their hashes in their order."""
    hashes = [hashlib.sha256(content).hexdigest() for content in contents]
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def by_channels(image: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What OpenCV's `change` makes of an image (H, W, N) of any N, as (h, w, N).

    OpenCV 5.0.0 refuses some changes of more than four channels, and computes those of two, or of
    more than four, with other roundings. `change` gets 1, 3 or 4 at once: one as (H, W).
    """
    number = image.shape[2]
    if number == 3:
        return change(image)
    parts, first = [], 0
    while first < number:
        part = image[..., first : first + taken(number - first)]
        parts.append(change(np.ascontiguousarray(part.squeeze(-1) if part.shape[2] == 1 else part)))
        first += taken(number - first)
    return np.dstack(parts)


def taken(left: int) -> int:
    """How many of the channels that are left are changed at once."""
    return {1: 1, 2: 1, 3: 3, 6: 3}.get(left, 4)


def shown(image: np.ndarray) -> np.ndarray:
    """An image (H, W, N) of uint8 or uint16 to look at: uint8 (H, W, 3).

    One channel is grey; two are red and green; of more than three, the first three are shown.
    """
    number = image.shape[2]
    if number == 1:
        image = np.repeat(image, 3, axis=2)
    elif number == 2:
        image = np.dstack([image, np.zeros_like(image[..., 0])])
    return grey_levels.as_bytes(np.ascontiguousarray(image[..., :3]) if number > 3 else image)


def grey(image: np.ndarray) -> np.ndarray:
    """An image (H, W, N) in grey (H, W) of its type: of RGB its luminance, else the mean."""
    if image.shape[2] == 3:
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.rint(image.mean(axis=2, dtype=np.float32)).astype(image.dtype)
