"""Warps that one field of positions describes: elastic, distortion, barrel and pincushion."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import cv2
import numpy as np

from flexunet_exp.data.augmentation.moving import Move
from flexunet_exp.data.augmentation.transform import Range, drawn, scale, within

# Grid points of the Gaussian that smooths a field. The field is smooth between the points, so that
# a wider Gaussian is drawn on a coarser grid, which costs a fraction of the time.
SMOOTH = 4


@dataclass(frozen=True)
class Elastic(Move):
    """Moves every pixel by `alpha` times uniform noise in ±1 blurred by a Gaussian of `sigma`.

    Both in pixels at the reference size; the displacement's root mean square is 0.163 alpha / sigma
    pixels along each axis. Simard, Steinkraus & Platt, Best Practices for Convolutional Neural
    Networks Applied to Visual Document Analysis, ICDAR 2003.
    """

    alpha: Range = within(0, 5000, (80, 200))
    sigma: Range = within(1, 200, 12)

    def positions(self, height: int, width: int, generator: np.random.Generator) -> np.ndarray:
        unit = scale(height, width)
        alpha = drawn("alpha", self.alpha, generator)
        sigma = drawn("sigma", self.sigma, generator) * unit
        step = grid_step(sigma)
        noise = uniform_noise((*on_grid(height, width, step), 2), generator)
        # The grid has one noise value for step x step pixels: dividing by the step keeps the
        # standard deviation of the blurred field.
        field = blurred(noise, sigma / step) * (alpha * unit**2 / step)
        return displaced(enlarged(field, height, width))


@dataclass(frozen=True)
class Distortion(Move):
    """Moves pixels along the slopes of smooth hills, by at most `fraction` of the shorter side.

    The limit holds for each axis. The hills are noise blurred by a Gaussian of `sigma` pixels at
    the reference size.
    """

    fraction: Range = within(0, 0.2, (0.005, 0.02))
    sigma: Range = within(1, 200, 40)

    def positions(self, height: int, width: int, generator: np.random.Generator) -> np.ndarray:
        sigma = drawn("sigma", self.sigma, generator) * scale(height, width)
        step = grid_step(sigma)
        hills = blurred(uniform_noise(on_grid(height, width, step), generator), sigma / step)
        slopes = [cv2.Sobel(hills, cv2.CV_32F, *axis, ksize=1) for axis in ((1, 0), (0, 1))]
        field = enlarged(np.dstack(slopes), height, width)
        most = drawn("fraction", self.fraction, generator) * min(height, width)
        return displaced(field * (most / max(float(np.abs(field).max()), 1e-12)))


@dataclass(frozen=True)
class Radial(Move):
    """Scales the distances from the centre of a disc: a pixel at d comes from d · f(d).

    d is a share of the radius, and f(d) = sin(π/2 · d)^e, so that the rim stays. `radius` is a
    share of the shorter side, `centre` a share of each side, drawn for x and for y. `amount` is the
    size of e; 0 changes nothing.
    """

    amount: Range = within(0, 0.9, (0.05, 0.25))
    radius: Range = within(0.05, 1, 0.5)
    centre: Range = within(0, 1, 0.5)

    @abstractmethod
    def exponent(self, amount: float) -> float:
        """e, the exponent in f."""

    def positions(self, height: int, width: int, generator: np.random.Generator) -> np.ndarray:
        exponent = self.exponent(drawn("amount", self.amount, generator))
        reach = drawn("radius", self.radius, generator) * min(height, width)
        centre_x = drawn("centre_x", self.centre, generator)
        centre_y = drawn("centre_y", self.centre, generator)
        x = np.arange(width, dtype=np.float32) - centre_x * (width - 1)
        y = np.arange(height, dtype=np.float32) - centre_y * (height - 1)
        y = y[:, None]
        distance = np.sqrt(x**2 + y**2) / reach
        # f may be infinite at the centre, which does not move for any f.
        factor = np.sin(np.pi / 2 * np.clip(distance, 1e-6, 1)) ** exponent
        return displaced(np.dstack([(factor - 1) * x, (factor - 1) * y]))


@dataclass(frozen=True)
class Barrel(Radial):
    """Bulges a disc: enlarges the part near its centre."""

    def exponent(self, amount: float) -> float:
        return amount


@dataclass(frozen=True)
class Pincushion(Radial):
    """Pinches a disc: shrinks the part near its centre."""

    def exponent(self, amount: float) -> float:
        return -amount


def grid_step(sigma: float) -> int:
    """Pixels between the points of a grid on which a field blurred by `sigma` pixels is drawn."""
    return max(1, int(sigma / SMOOTH))


def on_grid(height: int, width: int, step: int) -> tuple[int, int]:
    return -(-height // step), -(-width // step)


def uniform_noise(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    return 2 * generator.random(shape, dtype=np.float32) - 1


def blurred(noise: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(noise, (0, 0), sigma)


def enlarged(field: np.ndarray, height: int, width: int) -> np.ndarray:
    """The field drawn on a grid, at every pixel of a picture: (H, W, 2)."""
    if field.shape[:2] == (height, width):
        return field
    return cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC)


def displaced(field: np.ndarray) -> np.ndarray:
    """Positions (x, y) from displacements (H, W, 2) in pixels; changes `field` itself."""
    height, width = field.shape[:2]
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)
    field[..., 0] += x
    field[..., 1] += y[:, None]
    return field
