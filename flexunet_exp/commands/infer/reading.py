"""Reads pictures from files that may have any content."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import NamedTuple

import numpy as np

from flexunet_exp.commands.infer.records import Stamp
from flexunet_exp.data import masks
from flexunet_exp.data.bit_depth import Bits
from flexunet_exp.data.channels import Channels
from flexunet_exp.data.find_pictures import Picture
from flexunet_exp.errors import InputError

NAME_TROUBLE = (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)


class Read(NamedTuple):
    picture: Picture
    stamp: Stamp  # of its files before they were read
    image: np.ndarray  # (H, W, N) uint8 or uint16


class Refusal(NamedTuple):
    picture: Picture
    reason: str


def stamp(path: Path, channels: Channels) -> Stamp:
    """The state of a picture's files: all bytes, and the last change of any."""
    found = [file.stat() for file in channels.files(path) if file.exists()] or [path.stat()]
    return Stamp(sum(one.st_size for one in found), max(one.st_mtime_ns for one in found))


def read(picture: Picture, bits: Bits, channels: Channels) -> Read | Refusal:
    """Decodes a picture; returns a Refusal with the reason if that fails.

    `bits` are those of the values in 16-bit pictures.
    """
    try:
        state = stamp(picture.path, channels)
        return Read(picture, state, masks.read_image(picture.path, bits, channels))
    except OSError as error:
        return Refusal(picture, f"{picture.path}: cannot be read ({error.strerror}).")
    except InputError as error:
        return Refusal(picture, str(error))


def refusal(picture: Picture, error: OSError) -> Refusal:
    """A refusal for an error that this picture's name causes; raises any other error."""
    if error.errno not in NAME_TROUBLE:
        raise error
    return Refusal(picture, f"{picture.path}: {picture.name} cannot be written ({error.strerror}).")
