"""Images of 8 and of 16 bits: uint8 or uint16, of which the largest value is white in both."""

from __future__ import annotations

import numpy as np

SPREAD = 257  # 65535 / 255: an 8-bit value as 16 bits
DTYPES = ("uint8", "uint16")


def converted(image: np.ndarray, dtype: np.dtype | type | str) -> np.ndarray:
    """An image of uint8 or uint16 in the other type, or in the same one; white stays white."""
    wanted = np.dtype(dtype)
    if image.dtype == wanted:
        return image
    if wanted == np.uint16:
        return image.astype(np.uint16) * np.uint16(SPREAD)
    return ((image.astype(np.uint32) + SPREAD // 2) // SPREAD).astype(np.uint8)


def as_bytes(image: np.ndarray) -> np.ndarray:
    """An image of uint8 or uint16 as uint8, to be shown."""
    return converted(image, np.uint8)
