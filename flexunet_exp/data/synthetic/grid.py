"""A grid of wavy wires that touch at their crests (expanded metal), seen from above.

Wires are tables: `centre[j, k]` is the position of wire j across the grid at sample k along it, in
units of the wire distance. A pixel is shaded from its two neighbouring wires (and from the next
ones, since a bent wire may stray), so that no wire has to be drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from flexunet_exp.data.synthetic.texture import (
    Floats,
    Stroke,
    blob,
    bump,
    coverage,
    fibre,
    fray,
    pixel_centres,
    ramp,
    smooth_noise,
)

SAMPLES_A_WAVE = 24
REACH = 2.0
"""Wires are laid out this far (in pictures) around the centre, to cover every rotation."""


@dataclass
class Patch:
    """Something lying on the grid: cover 0..1 and its grey, both (size, size)."""

    cover: Floats
    grey: Floats


@dataclass
class Grid:
    """The wires, and the affine map from the picture to them."""

    size: int
    wave: float
    spacing: float
    axes: Floats
    centre: Floats
    present: Floats
    radius: float
    greys: tuple[float, float]
    relief: float
    patches: list[Patch] = field(default_factory=list)

    def to_wires(self, x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
        """Picture coordinates to (sample number along, wire number across)."""
        along = self.axes[0, 0] * (x - 0.5) + self.axes[0, 1] * (y - 0.5)
        across = self.axes[1, 0] * (x - 0.5) + self.axes[1, 1] * (y - 0.5)
        return (along + REACH / 2) / self.wave * SAMPLES_A_WAVE, (across + REACH / 2) / self.spacing

    def to_picture(self, sample: NDArray, wire: NDArray) -> NDArray[np.float64]:
        """The inverse of `to_wires`: points (K, 2)."""
        along = sample * self.wave / SAMPLES_A_WAVE - REACH / 2
        across = wire * self.spacing - REACH / 2
        return np.stack([along, across], -1) @ np.linalg.inv(self.axes).T + 0.5

    def place_inside(self, rng: np.random.Generator, margin: float = 0.1) -> tuple[int, int]:
        """A random (wire, sample) that lies in the picture."""
        x, y = rng.uniform(margin, 1 - margin, 2)
        sample, wire = self.to_wires(x, y)
        return int(round(float(wire))), int(round(float(sample)))


def draw(
    size: int, scene: np.random.Generator, defect: str | None, flaw: np.random.Generator
) -> tuple[Floats, Floats]:
    """The picture (size, size), grey 0..255, and the natural region of the defect, 0..1."""
    layout, surface = scene.spawn(2)
    grid = _lay_out(layout, size)
    if defect:
        CLASSES[defect](grid, flaw)
    picture = _shade(grid, surface)
    region = np.zeros((size, size), np.float32)
    for patch in grid.patches:
        picture = picture + patch.cover * (patch.grey - picture)
        region = np.maximum(region, patch.cover)
    return picture, region


def _lay_out(rng: np.random.Generator, size: int) -> Grid:
    spacing = rng.uniform(0.056, 0.078)
    wave = spacing * rng.uniform(2.2, 3.0)
    wires, samples = int(REACH / spacing) + 2, int(REACH / wave * SAMPLES_A_WAVE) + 2
    phase = np.arange(samples) / SAMPLES_A_WAVE * 2 * np.pi
    # Between a sine and a triangle, as bent sheet metal is.
    swing = np.sin(phase) - rng.uniform(0, 0.1) * np.sin(3 * phase)
    signs = (-1.0) ** np.arange(wires)[:, None]
    radius = rng.uniform(0.135, 0.18)
    wobble = cv2.resize(
        rng.normal(0, 0.035, (wires, samples // 8 + 2)),
        (samples, wires),
        interpolation=cv2.INTER_CUBIC,
    )
    centre = np.arange(wires)[:, None] + signs * swing * (0.5 - radius) + wobble
    angle = rng.normal(0, 0.22) + rng.choice([0, np.pi / 2])
    cos, sin = np.cos(angle), np.sin(angle)
    shear = np.array([[1, rng.normal(0, 0.22)], [0, 1]])
    return Grid(
        size=size,
        wave=wave,
        spacing=spacing,
        axes=(shear @ np.array([[cos, sin], [-sin, cos]])).astype(np.float32),
        centre=centre.astype(np.float32),
        present=np.ones((wires, samples), np.float32),
        radius=radius,
        greys=(rng.uniform(68, 95), rng.uniform(150, 205)),
        relief=rng.uniform(0.6, 1.0),
    )


def _shade(grid: Grid, rng: np.random.Generator) -> Floats:
    x, y = pixel_centres(grid.size)
    along, across = grid.to_wires(x, y)
    metal, ground = grid.greys
    nearest = np.full(across.shape, 9, np.float32)
    wires = np.zeros_like(nearest)
    cover = np.zeros_like(nearest)
    pixel = 1 / (grid.size * grid.spacing)
    first = np.floor(across)
    for step in (-1, 0, 1, 2):
        row = first + step
        centre = cv2.remap(
            grid.centre, along, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        there = cv2.remap(
            grid.present, along, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        offset = across - centre
        distance = np.abs(offset) + (1 - there) * 9
        closer = distance < nearest
        nearest = np.where(closer, distance, nearest)
        wires = np.where(closer, _round(offset / grid.radius, grid.relief), wires)
        cover = np.maximum(cover, ramp(distance, grid.radius + pixel / 2, grid.radius - pixel / 2))
    stain = smooth_noise(rng, grid.size, 48)
    glow = ramp(nearest, grid.radius, 0.5) ** 0.7
    behind = ground * (0.72 + 0.28 * glow) + 2.5 * stain
    front = metal * (wires + 0.05 * stain)
    return behind + cover * (front - behind)


def _round(offset: Floats, relief: float) -> Floats:
    """Brightness across a round wire (-1..1): dark rims, a lit side, a narrow highlight."""
    body = 1.12 - 0.62 * offset * offset - 0.2 * offset
    shine = np.maximum(0, 1 - np.abs(offset + 0.35) * 3.2)
    return body + 0.65 * relief * shine


def _bent(grid: Grid, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 4)):
        wire, sample = grid.place_inside(rng)
        along = np.arange(grid.centre.shape[1])
        half = rng.uniform(0.35, 0.75) * SAMPLES_A_WAVE
        push = rng.choice([-1, 1]) * rng.uniform(0.45, 0.85) * bump(along, sample, half)
        if rng.random() < 0.4:
            push = push - 0.8 * np.sign(push.sum()) * bump(along, sample + half * 1.2, half * 0.8)
        grid.centre[wire] += push.astype(np.float32)


def _broken(grid: Grid, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 4)):
        wire, sample = grid.place_inside(rng)
        along = np.arange(grid.centre.shape[1])
        half = rng.uniform(0.2, 0.6) * SAMPLES_A_WAVE
        grid.present[wire, np.abs(along - sample) < half] = 0
        for side in (-1, 1):
            if rng.random() < 0.7:
                end = sample + side * half
                curl = rng.normal(0, 0.4) * bump(along, end, rng.uniform(0.2, 0.5) * SAMPLES_A_WAVE)
                grid.centre[wire] += curl.astype(np.float32)
                _cut_face(grid, wire, end + side, rng)


def _cut_face(grid: Grid, wire: int, sample: float, rng: np.random.Generator) -> None:
    where = int(np.clip(sample, 0, grid.centre.shape[1] - 1))
    x, y = grid.to_picture(np.array(sample), grid.centre[wire, where])
    face = blob(rng, (x, y), grid.radius * grid.spacing * 0.75)
    cover = coverage([Stroke(face, 255)], grid.size)
    grid.patches.append(Patch(cover, np.full_like(cover, rng.choice([35.0, 150.0]))))


def _glue(grid: Grid, rng: np.random.Generator) -> None:
    for _ in range(1 + (rng.random() < 0.25)):
        wire, sample = grid.place_inside(rng)
        x, y = grid.to_picture(np.array(sample), np.array(wire + 0.5 * rng.integers(0, 2)))
        radius = rng.uniform(0.025, 0.05)
        drop = blob(
            rng,
            (x, y),
            radius,
            stretch=rng.uniform(1, 2),
            angle=rng.uniform(0, np.pi),
            roughness=0.09,
        )
        cover = coverage([Stroke(drop, 255)], grid.size, softness=0.003)
        inner = coverage([Stroke(drop, 255)], grid.size, softness=radius * 0.3)
        # A drop is a lens: murky, dark at the rim, with the lamp's reflection on one side.
        lamp = np.roll(inner, (round(radius * grid.size * 0.3),) * 2, (0, 1))
        grey = rng.uniform(100, 135) + 45 * (inner - lamp) * 2 - 25 * (1 - inner)
        grey = grey + 5 * smooth_noise(rng, grid.size, 64)
        glint = ramp(inner - lamp, 0.2, 0.3) * 60
        grid.patches.append(Patch(cover * rng.uniform(0.72, 0.9), grey + glint))


def _metal_contamination(grid: Grid, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 4)):
        place = rng.uniform(0.08, 0.92, 2)
        radius, angle = rng.uniform(0.012, 0.024), rng.uniform(0, np.pi)
        if rng.random() < 0.5:
            chip = Stroke(fibre(rng, place, angle, radius * 5, 2.2), 255, radius * 0.75)
        else:
            chip = Stroke(blob(rng, place, radius, stretch=1.8, angle=angle, roughness=0.3), 255)
        cover = coverage([chip], grid.size)
        x, y = pixel_centres(grid.size)
        ridge = np.sin((x * np.cos(angle) + y * np.sin(angle)) * rng.uniform(90, 160) + place[0])
        facets = np.where(ridge > rng.uniform(-0.2, 0.5), 245.0, 45.0)
        shadow = coverage([chip], grid.size, softness=0.006) * 0.5
        grid.patches += [
            Patch(shadow, np.full_like(cover, 25)),
            Patch(cover, facets.astype(np.float32) + 8 * smooth_noise(rng, grid.size, 96)),
        ]


def _thread(grid: Grid, rng: np.random.Generator) -> None:
    grey = rng.uniform(*((35, 75), (95, 125), (205, 235))[rng.integers(3)])
    strokes = _tangle(rng) if rng.random() < 0.25 else _long_thread(rng)
    cover = coverage(strokes, grid.size)
    twist = smooth_noise(rng, grid.size, 90)
    shadow = cv2.GaussianBlur(np.roll(cover, max(1, grid.size // 128), 0), (0, 0), grid.size / 200)
    grid.patches += [
        Patch(shadow * 0.3, np.full_like(cover, 20)),
        Patch(cover * 0.93, grey + 14 * twist),
    ]


def _long_thread(rng: np.random.Generator) -> list[Stroke]:
    width = rng.uniform(0.006, 0.012)
    length = rng.uniform(0.35, 1.3)
    angle = rng.uniform(0, 2 * np.pi)
    middle = rng.uniform(0.3, 0.7, 2)
    start = middle - length / 2 * np.array([np.cos(angle), np.sin(angle)])
    path = fibre(rng, start, angle, length, rng.uniform(0.4, 1.4), joints=30)
    fluff = []
    for place in rng.integers(0, len(path), 14):
        fluff += fray(rng, path[place], 0.018, (255, 255), count=1, width=0.002)
    return [Stroke(path, 255, width), *fluff]


def _tangle(rng: np.random.Generator) -> list[Stroke]:
    centre = rng.uniform(0.2, 0.8, 2)
    radius = rng.uniform(0.05, 0.08)
    hairs = fray(rng, centre, radius, (255, 255), count=40, width=0.003)
    tail = fibre(rng, centre, rng.uniform(0, 2 * np.pi), radius * 3, 3.0, joints=20)
    return [*hairs, Stroke(tail, 255, 0.007)]


CLASSES: dict[str, Callable[[Grid, np.random.Generator], None]] = {
    "bent": _bent,
    "broken": _broken,
    "glue": _glue,
    "metal_contamination": _metal_contamination,
    "thread": _thread,
}
