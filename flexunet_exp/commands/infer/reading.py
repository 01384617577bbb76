"""Reads pictures from files that may have any content."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from flexunet_exp.commands.infer.records import Stamp
from flexunet_exp.data import image_files, masks
from flexunet_exp.data.bit_depth import Bits
from flexunet_exp.data.find_pictures import Picture
from flexunet_exp.errors import InputError


class Read(NamedTuple):
    picture: Picture
    stamp: Stamp  # of its file before it was read
    image: np.ndarray  # (H, W, 3) uint8


class Refusal(NamedTuple):
    picture: Picture
    reason: str


def stamp(path: Path) -> Stamp:
    status = path.stat()
    return Stamp(status.st_size, status.st_mtime_ns)


def read(picture: Picture, bits: Bits) -> Read | Refusal:
    """Decodes a picture; returns a Refusal with the reason if that fails.

    `bits` are those of the values in 16-bit pictures.
    """
    try:
        state = stamp(picture.path)
        data = image_files.read_bytes(picture.path)
        return Read(picture, state, masks.decode_image(data, picture.path, bits))
    except OSError as error:
        return Refusal(picture, f"{picture.path}: cannot be read ({error.strerror}).")
    except InputError as error:
        return Refusal(picture, str(error))
