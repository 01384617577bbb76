"""Pictures from files that may be anything."""

from __future__ import annotations

import io
import stat
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from flexunet_exp.data import masks
from flexunet_exp.errors import InputError
from flexunet_exp.inference.inputs import Picture
from flexunet_exp.inference.journal import Stamp

MAX_BYTES = 2**31  # of a picture's file

# Pillow warns of pictures of half the size that it refuses.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


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


def read(picture: Picture) -> Read | Refusal:
    """Decodes a picture, or says why not."""
    try:
        check_file(picture.path)
        state = stamp(picture.path)
        data = masks.read_bytes(picture.path)
        check_pixels(data, picture.path)
        return Read(picture, state, masks.decode_image(data, picture.path))
    except OSError as error:
        return Refusal(picture, f"{picture.path}: cannot be read ({error.strerror}).")
    except InputError as error:
        return Refusal(picture, str(error))


def check_file(path: Path) -> None:
    """Raises InputError for what is no file, or so large that reading it could take all memory."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: the folder cannot be listed. Give yourself the right to.")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: neither a file nor a folder, but a pipe, socket or device.")
    if status.st_size > MAX_BYTES:
        raise InputError(
            f"{path}: {status.st_size / 2**30:.1f} GiB, expected less than {MAX_BYTES / 2**30:.0f} "
            "GiB: is it a picture? Cut it into parts."
        )


def check_pixels(data: bytes, path: Path) -> None:
    """Raises InputError for a small file that would unpack to a giant picture (Pillow's limit)."""
    try:
        Image.open(io.BytesIO(data)).close()
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: {str(error).split(',')[0]}. Cut it into parts.") from error
    except Exception:  # decoding it will tell whether it is a picture at all
        return
