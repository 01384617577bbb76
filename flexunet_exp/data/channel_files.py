"""Decodes pictures of any number of channels: from one file, or from one grey file a light."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from flexunet_exp.data import image_files, tiff_files
from flexunet_exp.data.channels import Channels, other_number
from flexunet_exp.data.grouping import Problem
from flexunet_exp.data.image_files import Header
from flexunet_exp.errors import InputError

# Channels by the mode of Pillow. Alpha beside grey is dropped, as it is beside RGB.
OF_MODE = {"1": 1, "L": 1, "LA": 1, "I": 1, "RGBA": 4}
GREY = "I;16"
COLOUR = 3


def decoded(
    contents: Sequence[bytes], path: str | Path, channels: Channels
) -> tuple[np.ndarray, Header]:
    """The pixels (H, W, N) of a picture, uint8, or uint16 as stored, and its header.

    `contents` are the bytes of its files, of which `path` names one. Raises InputError with every
    file that has another number of channels, and where lights differ in size or bits.
    """
    files = channels.files(Path(path))
    if len(contents) == 1 and not channels.light_of(Path(path).stem):
        return one_file(contents[0], path, Channels(channels.number))
    problems: list[str] = []
    parts = []
    for file, data in zip(files, contents, strict=True):
        try:
            parts.append(one_file(data, file, Channels(1, channels.lights[:1])))
        except InputError as error:
            problems += error.problems
    if not problems:
        problems += differing(files, [pixels for pixels, _ in parts], channels)
    if problems:
        raise InputError(problems)
    return np.dstack([pixels for pixels, _ in parts]), together([header for _, header in parts])


def one_file(data: bytes, path: str | Path, wanted: Channels) -> tuple[np.ndarray, Header]:
    """The pixels (H, W, N) of a file that has the channels that are wanted, upright."""
    if tiff_files.is_tiff(data):
        return tiff_files.read(data, path, wanted)
    header = image_files.header(data, path)
    found = 1 if header.mode.startswith(GREY) else OF_MODE.get(header.mode, COLOUR)
    if found != wanted.number:
        raise InputError(other_number(path, found, wanted))
    header = header._replace(alpha=header.alpha and found != 4)
    return pixels_of(data, path, header, found), header


def pixels_of(data: bytes, path: str | Path, header: Header, number: int) -> np.ndarray:
    """The pixels (H, W, number) that OpenCV decodes, upright; RGB and RGBA in this order."""
    if number == 4:  # OpenCV turns what it decodes, but not with alpha
        bgra = image_files.decoded_by(cv2.IMREAD_UNCHANGED, data, path)
        tag = image_files.orientation(data, path)
        return image_files.oriented(cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGBA), tag)
    depth = cv2.IMREAD_ANYDEPTH if header.deep else 0
    if number == 1:
        return image_files.decoded_by(cv2.IMREAD_GRAYSCALE | depth, data, path)[..., None]
    bgr = image_files.decoded_by(cv2.IMREAD_COLOR | depth, data, path)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def together(headers: Sequence[Header]) -> Header:
    """The facts of a picture whose lights have these headers."""
    return headers[0]._replace(
        alpha=any(one.alpha for one in headers),
        turned=any(one.turned for one in headers),
        several=any(one.several for one in headers),
    )


def differing(
    files: Sequence[Path], pixels: Sequence[np.ndarray], channels: Channels
) -> list[Problem]:
    """A problem for each light whose size or bits are not those of the first light."""
    first = pixels[0]
    return [
        Problem(
            file,
            f"{form(one)}, while {files[0].name} has {form(first)}",
            "All lights of a picture must have one size and one number of bits: export them again.",
            f"files of a light differ from {channels.lights[0]} in size or bits",
        )
        for file, one in zip(files, pixels, strict=True)
        if (one.shape, one.dtype) != (first.shape, first.dtype)
    ]


def form(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]} pixels of {8 * pixels.itemsize} bits"
