"""Changes of light and lens: the image changes, the mask does not."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import cv2
import numpy as np

from flexunet_exp.data.augmentation.transform import Checked, Pair, Range, drawn, scale, within
from flexunet_exp.data.channels import by_channels
from flexunet_exp.data.grey_levels import SPREAD


@dataclass(frozen=True)
class Photometric(Checked):
    """Changes the image and returns the mask unchanged."""

    @abstractmethod
    def changed(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """The image (H, W, N), uint8 or uint16, under another light or lens."""

    def __call__(self, image: np.ndarray, mask: np.ndarray, generator: np.random.Generator) -> Pair:
        return self.changed(image, generator), mask


@dataclass(frozen=True)
class Brightness(Photometric):
    """Multiplies every pixel by `factor` and adds `offset`, a share of full scale."""

    offset: Range = within(-1, 1, (-0.15, 0.15))
    factor: Range = within(0, 5, 1)

    def changed(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        offset = 255 * drawn("offset", self.offset, generator)
        return remap(image, levels(image) * drawn("factor", self.factor, generator) + offset)


@dataclass(frozen=True)
class Contrast(Photometric):
    """Stretches (`factor` above 1) or flattens around the image's mean."""

    factor: Range = within(0, 5, (0.85, 1.15))

    def changed(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        factor = drawn("factor", self.factor, generator)
        mean = float(image.mean()) / step(image)
        return remap(image, (levels(image) - mean) * factor + mean)


@dataclass(frozen=True)
class Gamma(Photometric):
    """Raises every pixel, as a share of full scale, to the power `gamma`: above 1 darkens."""

    gamma: Range = within(0.1, 10, (0.8, 1.25))

    def changed(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        exponent = drawn("gamma", self.gamma, generator)
        return remap(image, 255 * (levels(image) / 255) ** exponent)


@dataclass(frozen=True)
class Noise(Photometric):
    """Adds normal noise of the standard deviation `sigma`, a share of full scale, pixel by pixel.

    All channels get the same noise, so that a grey picture stays grey. The noise is drawn for the
    picture's own pixels, not those of the reference size: a sensor's noise has no scale.
    """

    sigma: Range = within(0, 0.5, (0.0, 0.03))

    def changed(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        height, width = image.shape[:2]
        drawn_bytes = np.frombuffer(generator.bytes(height * width), np.uint8)
        sigma = 255 * drawn("sigma", self.sigma, generator) * step(image)
        if image.dtype == np.uint16:
            offsets = np.rint(sigma * normal_quantiles()).astype(np.int32)
            noisy = image + offsets[drawn_bytes].reshape(height, width, 1)
            return np.clip(noisy, 0, np.iinfo(np.uint16).max).astype(np.uint16)
        levels_added = np.rint(sigma * normal_quantiles()).astype(np.int16)
        noise = levels_added[drawn_bytes].reshape(height, width)
        return by_channels(image, lambda part: with_noise(part, noise))


@dataclass(frozen=True)
class Blur(Photometric):
    """Blurs by a Gaussian of `sigma` pixels at the reference size: a lens out of focus."""

    sigma: Range = within(0, 20, (0.0, 1.5))

    def changed(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        sigma = drawn("sigma", self.sigma, generator) * scale(*image.shape[:2])
        if sigma <= 0:
            return image
        return by_channels(image, lambda part: cv2.GaussianBlur(part, (0, 0), sigma))


@dataclass(frozen=True)
class Sharpen(Photometric):
    """Adds `strength` times the difference of each pixel from its eight neighbours.

    The kernel is 1 + 8k in the middle and -k around it, k being the strength; 1 is drastic.
    """

    strength: Range = within(0, 2, (0.0, 0.2))

    def changed(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        strength = drawn("strength", self.strength, generator)
        kernel = np.full((3, 3), -strength)
        kernel[1, 1] += 1 + 9 * strength
        return by_channels(image, lambda part: cv2.filter2D(part, -1, kernel))


def with_noise(image: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """An image (H, W) or (H, W, 3 or 4) uint8 with the same noise (H, W) int16 in all channels."""
    number = image.shape[2] if image.ndim == 3 else 1
    return cv2.add(image, cv2.merge([noise] * number), dtype=cv2.CV_8U)


def step(image: np.ndarray) -> int:
    """How many values of the image one grey level of 0..255 has."""
    return SPREAD if image.dtype == np.uint16 else 1


def levels(image: np.ndarray) -> np.ndarray:
    """The grey level 0..255 of each value that the image may have: (256,), or (65536,)."""
    return np.arange(np.iinfo(image.dtype).max + 1) / step(image)


def remap(image: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The image with value v replaced by grey level wanted[v], rounded and clipped."""
    values = np.clip(np.rint(wanted * step(image)), 0, np.iinfo(image.dtype).max)
    table = values.astype(image.dtype)
    return (
        by_channels(image, lambda part: cv2.LUT(part, table))
        if image.dtype == np.uint8
        else table[image]
    )


@cache
def normal_quantiles() -> np.ndarray:
    """256 equally likely values of the standard normal distribution, of variance 1.

    A random byte picks a value, which is four times faster than drawing normal numbers; after
    rounding to whole levels the two do not differ visibly.
    """
    values = np.array([NormalDist().inv_cdf((index + 0.5) / 256) for index in range(256)])
    return values / values.std()
