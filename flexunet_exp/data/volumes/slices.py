"""The slices of a volume as grey pictures, and the way back of their masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flexunet_exp.data.volumes.volume import Volume, at
from flexunet_exp.errors import InputError

AUTO = "auto"
PERCENTILES = (0.5, 99.5)
SAMPLED = 2**22  # voxels that the percentiles are computed of, at the most
Window = str | tuple[float, float]
Range = tuple[float, float]


@dataclass(frozen=True)
class Slices:
    """The slices across an axis, each turned clockwise by `turn` degrees.

    `window` is the range of values that becomes 0 to 255; None: each slice's own.
    """

    volume: Volume
    axis: int
    turn: int
    window: Range | None

    @classmethod
    def of(cls, volume: Volume, axis: int, turn: int, window: Window) -> Slices:
        """The slices with a window as `volume.window` says it: [low, high], `auto` or `slice`."""
        if isinstance(window, str):
            return cls(volume, axis, turn, auto(volume, axis) if window == AUTO else None)
        low, high = window
        return cls(volume, axis, turn, (float(low), float(high)))

    def __len__(self) -> int:
        return self.volume.shape[self.axis]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a slice, turned."""
        rows, columns = (side for axis, side in enumerate(self.volume.shape) if axis != self.axis)
        return (columns, rows) if self.turn % 180 else (rows, columns)

    def picture(self, index: int) -> np.ndarray:
        """A slice in grey, uint8 (H, W)."""
        plane = self.volume.plane(self.axis, index)
        window = self.window or (float(plane.min()), float(plane.max()))
        return np.ascontiguousarray(np.rot90(as_bytes(plane, window), -self.turn // 90))

    def put(self, index: int, mask: np.ndarray, into: np.ndarray) -> None:
        """Writes a slice's mask (H, W) to its place in the mask (z, y, x) of the volume."""
        into[at(self.axis, index)] = np.rot90(mask, self.turn // 90)


def as_bytes(values: np.ndarray, window: Range) -> np.ndarray:
    """Values as uint8: from `low` at 0 to `high` at 255, cut off outside; all 0 if both are one."""
    low, high = window
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    if values.dtype == np.uint8 and window == (0, 255):
        return values
    share = (values.astype(np.float64) - low) * (255 / (high - low))
    return np.rint(np.clip(share, 0, 255)).astype(np.uint8)


def auto(volume: Volume, axis: int) -> Range:
    """The window of a whole volume: 0 to 255 of bytes, else from 0.5 to 99.5 % of its values.

    Of a large volume, every n-th slice and pixel is sampled.
    """
    if volume.voxels.dtype == np.uint8 and (volume.slope, volume.intercept) == (1, 0):
        return 0.0, 255.0
    step = max(1, round((np.prod(volume.shape, dtype=float) / SAMPLED) ** (1 / 3)))
    planes = range(0, volume.shape[axis], step)
    values = [volume.plane(axis, index)[::step, ::step].ravel() for index in planes]
    low, high = np.percentile(np.concatenate(values), PERCENTILES)
    if not np.isfinite(high - low):
        raise InputError(f"{volume.path}: values up to {high:g}. Type volume.window=[LOW,HIGH]")
    return float(low), float(high)
