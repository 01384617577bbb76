"""Parts that the drawn materials share: noise, blobs, strokes, light, sensor, mask of a change.

Coordinates are fractions of the picture (x right, y down, 0..1), so that one scene drawn at two
sizes shows the same thing. Pictures in the making are float32 (size, size), grey 0..255.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

# Of float32, for which the stubs of NumPy and OpenCV have different types.
Floats: TypeAlias = NDArray[Any]
Point: TypeAlias = tuple[float, float] | NDArray[Any]
FRACTION_BITS = 4
OVERSAMPLING = 2


@dataclass(frozen=True)
class Stroke:
    """A line, or a filled polygon where `width` is 0; points (K, 2), grey 0..255."""

    points: NDArray[np.floating]
    grey: float
    width: float = 0.0


def smooth_noise(rng: np.random.Generator, size: int, cells: int) -> Floats:
    """Noise (size, size) of about unit variance whose grains are 1/cells of the picture."""
    cells = min(cells, size)
    coarse = rng.standard_normal((cells + 1, cells + 1), dtype=np.float32)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


def pixel_centres(size: int) -> tuple[Floats, Floats]:
    """The x (1, size) and y (size, 1) of the pixel centres."""
    steps = (np.arange(size, dtype=np.float32) + 0.5) / size
    return steps[None, :], steps[:, None]


def ramp(values: Floats, start: float, end: float) -> Floats:
    """0 before `start`, 1 after `end` (which may be the smaller one), linear between."""
    return np.clip((values - start) / (end - start), 0, 1)


def bump(values: NDArray, centre: float, half_width: float) -> NDArray:
    """A smooth hill: 1 at the centre, 0 from `half_width` away on."""
    return np.cos(np.clip((values - centre) / half_width, -1, 1) * np.pi / 2) ** 2


def blob(
    rng: np.random.Generator,
    centre: Point,
    radius: float,
    *,
    stretch: float = 1.0,
    angle: float = 0.0,
    roughness: float = 0.15,
) -> NDArray[np.float64]:
    """The outline (40, 2) of an irregular patch, `stretch` times as long along `angle`."""
    around = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    waves = np.arange(2, 9)
    phases = rng.uniform(0, 2 * np.pi, waves.size)
    heights = rng.normal(0, roughness, waves.size) / np.sqrt(waves)
    reach = radius * np.clip(
        1 + heights @ np.cos(waves[:, None] * around + phases[:, None]), 0.4, 2
    )
    along, across = reach * np.cos(around) * stretch, reach * np.sin(around)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack(
        [centre[0] + along * cos - across * sin, centre[1] + along * sin + across * cos], 1
    )


def fibre(
    rng: np.random.Generator,
    start: Point,
    angle: float,
    length: float,
    curl: float,
    joints: int = 12,
) -> NDArray[np.float64]:
    """The path (joints, 2) of a loose fibre: its direction drifts by about `curl` radians."""
    bends = np.cumsum(rng.normal(0, curl / np.sqrt(joints), joints - 1))
    steps = length / (joints - 1) * np.stack([np.cos(angle + bends), np.sin(angle + bends)], 1)
    return np.concatenate([[start], start + np.cumsum(steps, 0)])


def fray(
    rng: np.random.Generator,
    centre: Point,
    radius: float,
    greys: tuple[float, float],
    *,
    count: int,
    width: float,
    towards: float | None = None,
) -> list[Stroke]:
    """Loose fibres about a point, in all directions or mostly `towards` one (radians)."""
    strokes = []
    for _ in range(count):
        start = rng.normal(centre, radius * 0.35)
        angle = rng.uniform(0, 2 * np.pi) if towards is None else rng.normal(towards, 0.6)
        path = fibre(rng, start, angle, radius * rng.uniform(0.5, 1.3), 0.8, joints=7)
        strokes.append(Stroke(path, rng.uniform(*greys), width * rng.uniform(0.7, 1.3)))
    return strokes


def paint(canvas: NDArray[np.uint8], strokes: Iterable[Stroke]) -> None:
    """Draw strokes, in order and with smooth edges, on a square grey uint8 canvas."""
    side = canvas.shape[0]
    for stroke in strokes:
        points = _fixed_point(stroke.points, side)
        if stroke.width:
            thickness = max(1, round(stroke.width * side))
            cv2.polylines(
                canvas, [points], False, stroke.grey, thickness, cv2.LINE_AA, FRACTION_BITS
            )
        else:
            cv2.fillPoly(canvas, [points], stroke.grey, cv2.LINE_AA, FRACTION_BITS)


def _fixed_point(points: NDArray[np.floating], side: int) -> NDArray[np.int32]:
    # OpenCV puts pixel centres on whole numbers; here they lie half a pixel further.
    return np.round((points * side - 0.5) * (1 << FRACTION_BITS)).astype(np.int32)


def enlarge(picture: Floats) -> NDArray[np.uint8]:
    """The picture as an oversampled uint8 canvas to draw on."""
    side = picture.shape[0] * OVERSAMPLING
    canvas = cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def shrink(canvas: NDArray[np.uint8]) -> Floats:
    """The oversampled canvas as a picture again."""
    side = canvas.shape[0] // OVERSAMPLING
    return cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)


def coverage(strokes: Iterable[Stroke], size: int, softness: float = 0.0) -> Floats:
    """How much of each pixel the strokes cover, 0..1; `softness` blurs the edges."""
    canvas = np.zeros((size * OVERSAMPLING,) * 2, np.uint8)
    paint(canvas, [Stroke(stroke.points, 255, stroke.width) for stroke in strokes])
    covered = shrink(canvas) / 255
    return cv2.GaussianBlur(covered, (0, 0), softness * size) if softness else covered


def light(rng: np.random.Generator, size: int) -> Floats:
    """A lamp that is not quite straight above: brightness, gradient and vignette, about 1."""
    x, y = pixel_centres(size)
    angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.16)
    tilt = slope * ((x - 0.5) * math.cos(angle) + (y - 0.5) * math.sin(angle))
    lamp_x, lamp_y = rng.uniform(0.3, 0.7, 2).tolist()
    vignette = rng.uniform(0, 0.2) * ((x - lamp_x) ** 2 + (y - lamp_y) ** 2)
    return (rng.uniform(0.92, 1.08) * (1 + tilt - vignette)).astype(np.float32)


def expose(rng: np.random.Generator, picture: Floats) -> NDArray[np.uint8]:
    """The sensor: shot noise that grows with the light, and read-out noise; uint8."""
    noise = rng.standard_normal(picture.shape, dtype=np.float32)
    spread = rng.uniform(0.6, 1.4) * np.sqrt(1 + np.maximum(picture, 0) / 60)
    return np.clip(np.rint(picture + noise * spread), 0, 255).astype(np.uint8)


def changed(good: Floats, flawed: Floats, region: Floats, contrast: float) -> NDArray[np.bool_]:
    """The mask of a flaw: changed by more than `contrast` greys, or in its `region` (above 0.5).

    Gaps of a few pixels are closed, because a shifted pattern is equal to itself in places. Specks
    are dropped, as a person who outlines the flaw would do.
    """
    size = good.shape[0]
    mask = ((np.abs(flawed - good) > contrast) | (region > 0.5)).astype(np.uint8)
    reach = max(3, round(size * 0.018) | 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    areas = stats[:, cv2.CC_STAT_AREA]
    areas[0] = 0
    keep = areas >= min(areas.max(), max(4, size * size * 2e-4))
    return keep[labels] & (labels > 0)


def near(mask: NDArray[np.uint8]) -> Floats:
    """1 at a mask (0 or 255) and close to it, 0 from 3 % of the picture away on, smooth between.

    Blending with it keeps a flaw's faint outskirts (shadows, blur) without a visible seam.
    """
    step = max(1, round(mask.shape[0] * 0.01))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (4 * step + 1, 4 * step + 1))
    # Blurred as whole numbers: sums of floats would leave traces all over the picture.
    grown = cv2.blur(cv2.dilate(mask, disc), (2 * step + 1, 2 * step + 1))
    return grown.astype(np.float32) / 255
