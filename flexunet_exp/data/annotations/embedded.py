"""Bytes and pictures that annotations hold as text, unpacked within limits."""

from __future__ import annotations

import base64
import binascii
import io
import zlib

import numpy as np
from PIL import Image

from flexunet_exp.data import image_files
from flexunet_exp.errors import InputError

MAX_BYTES = image_files.MAX_PIXELS  # of a packed bitmap; a PNG of bits is far smaller


def from_base64(text: str, where: str) -> bytes:
    """The bytes of base64, which may be broken into lines; `where` names it in an error."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{where}: data that is not base64. Export it again.") from error


def inflated(data: bytes, where: str) -> bytes:
    """What zlib packed; InputError where it is damaged, or unpacks to more than MAX_BYTES."""
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(data, MAX_BYTES)
    except zlib.error as error:
        raise InputError(f"{where}: damaged packed data ({error}). Export it again.") from error
    if unpacker.unconsumed_tail:
        raise InputError(f"{where}: packed data of more than {MAX_BYTES:,} bytes.")
    if not unpacker.eof:
        raise InputError(f"{where}: packed data that is cut off. Export it again.")
    return found


def bitmap(data: bytes, where: str) -> np.ndarray:
    """The marked pixels (H, W) bool of a picture file.

    Those are the ones that are not transparent, where it says so, or else not 0.
    """
    image_files.header(data, where)
    try:
        picture = Image.open(io.BytesIO(data))
        values = np.asarray(picture.getchannel("A") if "A" in picture.getbands() else picture)
    except Exception as error:  # Pillow's readers raise errors of many kinds
        raise image_files.not_an_image(where) from error
    return (values.max(axis=2) if values.ndim == 3 else values) > 0
