"""Pictures and masks in NIfTI files (.nii, .nii.gz) of one slice, by the package nibabel."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from flexunet_exp.data.annotations.formats.mask_pictures import (
    labels_of,
    numbers_of,
    refuse_unnamed,
)
from flexunet_exp.data.annotations.records import Stored
from flexunet_exp.data.image_files import MAX_PIXELS, read_bytes
from flexunet_exp.errors import InputError

MOST = 2 * MAX_PIXELS  # bytes of an unpacked file


def is_nifti(path: Path) -> bool:
    return path.name.lower().endswith((".nii", ".nii.gz"))


def picture_of(path: Path) -> bytes:
    """A PNG of 8 or 16 bits. Raises InputError for values that are no whole grey values."""
    pixels = slice_of(path)
    low, high = float(pixels.min()), float(pixels.max())
    if low < 0 or high > 65535 or not (pixels == np.rint(pixels)).all():
        raise InputError(
            f"{path}: values from {low:g} to {high:g}, expected whole ones from 0 to 65535. Scale "
            "them, and save the pictures as PNG."
        )
    stream = io.BytesIO()
    kind = np.uint8 if high <= 255 else np.uint16
    Image.fromarray(np.ascontiguousarray(pixels.astype(kind))).save(stream, format="PNG")
    return stream.getvalue()


def by_value(path: Path, names: Mapping[int, str], mend: str) -> Stored:
    """As `mask_pictures.by_value`, of a NIfTI file."""

    def read() -> np.ndarray:
        values, places, counts = np.unique(slice_of(path), return_inverse=True, return_counts=True)
        pixels = dict(zip(values.tolist(), counts, strict=True))
        refuse_unnamed(path, pixels, names, "values of no class", mend)
        return numbers_of(pixels, names)[places]

    return Stored(path, labels_of(names.values()), read)


def slice_of(path: Path) -> np.ndarray:
    """The one slice (H, W): the first axis of the file is x.

    Raises InputError without nibabel, for a volume of several slices, and for a damaged file.
    """
    try:
        import nibabel
    except ImportError:
        raise InputError(
            f"{path}: NIfTI is read by the package nibabel, which is not installed: pip install "
            "nibabel"
        ) from None
    data = unpacked(path)
    try:
        image = nibabel.Nifti1Image.from_bytes(data)
        shape = image.shape
        if len(shape) > 1 and np.prod(shape, dtype=float) == shape[0] * shape[1] <= MAX_PIXELS:
            return np.asanyarray(image.dataobj).reshape(shape[:2]).T
    except Exception as error:  # nibabel's readers raise errors of many kinds
        raise InputError(f"{path}: no readable NIfTI file, or cut off: export it again.") from error
    raise InputError(
        f"{path}: of the shape {' × '.join(map(str, shape))}, expected one slice. Save the slices "
        "to import as pictures of their own."
    )


def unpacked(path: Path) -> bytes:
    """The bytes of a file without gzip. Raises InputError where they are too many, or damaged."""
    data = read_bytes(path)
    try:
        if path.suffix.lower() == ".gz":
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(MOST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: no readable gzip file, or cut off: export it again.") from error
    if len(data) > MOST:
        raise InputError(f"{path}: unpacks to more than {MOST:,} bytes: is it one slice?")
    return data
