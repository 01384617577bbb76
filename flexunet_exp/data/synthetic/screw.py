"""A countersunk wood screw on bright paper, at any angle.

The screw lies along s (0 = rim of the head, 1 = tip) with r across it, both in screw lengths. Its
half width is a profile over s. The thread's windings are numbered along s; each has a height on
either side, so that a flaw can flatten one winding.
"""

from __future__ import annotations

import math
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
    fray,
    pixel_centres,
    ramp,
    smooth_noise,
)

PROFILE = 512
"""Samples of the profile along the screw."""


@dataclass
class Scar:
    """A filed or scraped place: its outline in the picture, the grey of the bared metal, and the
    direction of the grooves (radians)."""

    outline: NDArray[np.float64]
    grey: float
    grooves: float
    contrast: float


@dataclass
class Screw:
    """Where the screw lies and its shape; lengths in screw lengths."""

    size: int
    centre: tuple[float, float]
    angle: float
    length: float
    radius: NDArray[np.float64]
    head: float
    thread_start: float
    pitch: float
    phase: float
    ridge: float
    tilt: float
    metal: float
    paper: float
    left: NDArray[np.float64]
    right: NDArray[np.float64]
    tip: float = 1.0
    tip_bend: float = 0.0
    bend_start: float = 1.0
    scars: list[Scar] = field(default_factory=list)
    burrs: list[Stroke] = field(default_factory=list)

    def to_screw(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Picture coordinates to (s, r)."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        dx, dy = (x - self.centre[0]) / self.length, (y - self.centre[1]) / self.length
        s, r = 0.5 + dx * cos + dy * sin, dy * cos - dx * sin
        if self.tip_bend:
            r = r - self.tip_bend * np.maximum(0, s - self.bend_start) ** 1.5
        return s, r

    def to_picture(self, s: float, r: float) -> tuple[float, float]:
        """The inverse of `to_screw`, for the straight part."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        along, across = (s - 0.5) * self.length, r * self.length
        return (
            float(self.centre[0] + along * cos - across * sin),
            float(self.centre[1] + along * sin + across * cos),
        )

    def radius_at(self, s: float) -> float:
        return float(np.interp(s, np.linspace(0, 1, PROFILE), self.radius))


def draw(
    size: int, scene: np.random.Generator, defect: str | None, flaw: np.random.Generator
) -> tuple[Floats, Floats]:
    """The picture (size, size), grey 0..255, and the natural region of the defect, 0..1."""
    shape, surface = scene.spawn(2)
    screw = _forge(shape, size)
    if defect:
        CLASSES[defect](screw, flaw)
    picture, region = _shade(screw, surface)
    if screw.burrs:
        picture = picture + coverage(screw.burrs, size) * (screw.metal * 0.7 - picture)
    return picture, region


def _forge(rng: np.random.Generator, size: int) -> Screw:
    s = np.linspace(0, 1, PROFILE)
    width, head_width = rng.uniform(0.048, 0.056), rng.uniform(0.135, 0.155)
    rim, cone_end = 0.022, rng.uniform(0.125, 0.15)
    cone = 1 - ramp(s, rim, cone_end)
    radius = width + (head_width - width) * cone**1.15
    thread_start = rng.uniform(0.42, 0.5)
    radius = radius * (1 - 0.17 * ramp(s, thread_start - 0.01, thread_start + 0.02))
    radius = radius * (1 - 0.25 * ramp(s, thread_start, 1)) * ramp(s, 1.0, 0.86) ** 0.7
    pitch = rng.uniform(0.058, 0.068)
    windings = int(1 / pitch) + 3
    length = rng.uniform(0.82, 0.92)
    return Screw(
        size=size,
        centre=(rng.uniform(0.47, 0.53), rng.uniform(0.47, 0.53)),
        angle=rng.uniform(0, 2 * np.pi),
        length=length,
        radius=radius,
        head=cone_end,
        thread_start=thread_start,
        pitch=pitch,
        phase=rng.uniform(0, 1),
        ridge=rng.uniform(0.026, 0.031),
        tilt=rng.uniform(0.3, 1),
        metal=rng.uniform(80, 108),
        paper=rng.uniform(176, 205),
        left=rng.normal(1, 0.03, windings),
        right=rng.normal(1, 0.03, windings),
    )


def _shade(screw: Screw, rng: np.random.Generator) -> tuple[Floats, Floats]:
    x, y = pixel_centres(screw.size)
    s, r = screw.to_screw(x, y)
    pixel = 1 / (screw.size * screw.length)
    core, ridge_place, reach = _outline(screw, s, r)
    half = np.maximum(core, reach)
    cover = ramp(np.abs(r) - half, pixel / 2, -pixel / 2)
    cover = cover * ramp(s, -pixel / 2, pixel / 2) * ramp(s, screw.tip + pixel, screw.tip)
    grain = smooth_noise(rng, screw.size, 110)
    spots = smooth_noise(rng, screw.size, 30)
    metal = _metal(screw, s, r, core, ridge_place, grain, spots)
    metal, region = _scrape(screw, metal, cover, grain, spots)
    shadow = cv2.GaussianBlur(cover, (0, 0), 0.03 * screw.size)
    paper = screw.paper * (1 - 0.22 * shadow) + 1.5 * spots + 1.0 * grain
    picture = paper + cover * (metal - paper)
    return picture, region


def _outline(screw: Screw, s: Floats, r: Floats) -> tuple[Floats, Floats, Floats]:
    """Half width of the core, place within the winding (-0.5..0.5) and half width of the ridge."""
    core = np.interp(s, np.linspace(0, 1, PROFILE), screw.radius).astype(np.float32)
    # Seen from the side a winding climbs half a pitch from one edge to the other.
    lean = np.clip(r / np.maximum(core, 0.02), -1.5, 1.5) * 0.24
    turns = (s - screw.thread_start) / screw.pitch + lean + screw.phase
    number = np.floor(turns)
    place = turns - number - 0.5
    winding = np.clip(number, 0, screw.left.size - 1).astype(np.intp)
    height = np.where(r < 0, screw.left[winding], screw.right[winding])
    fade = ramp(s, screw.thread_start - 0.005, screw.thread_start + 0.03) * ramp(s, 0.995, 0.9)
    reach = core + screw.ridge * height * fade * ramp(np.abs(place), 0.24, 0.07)
    return core, place.astype(np.float32), reach.astype(np.float32)


def _metal(
    screw: Screw, s: Floats, r: Floats, core: Floats, place: Floats, grain: Floats, spots: Floats
) -> Floats:
    across = np.clip(r / np.maximum(core, 0.012), -1.4, 1.4)
    body = 1.18 - 0.55 * across * across + 0.1 * across
    body = body + 0.35 * np.maximum(0, 1 - np.abs(across + 0.32) * 3.5)
    threaded = ramp(s, screw.thread_start, screw.thread_start + 0.02)
    crest = np.maximum(0, 1 - np.abs(place + 0.05) * 7)
    flank = np.maximum(0, 1 - np.abs(place - 0.17) * 7)
    body = body + threaded * (0.35 * crest - 0.55 * flank)
    cone = ramp(s, screw.head, screw.head - 0.01)
    body = body * (1 - cone * (0.12 + 0.25 * ramp(s, screw.head - 0.05, screw.head)))
    body = body + 0.25 * bump(s, 0.012, 0.012)
    body = body - _drive(screw, s, r)
    return screw.metal * (body + 0.07 * grain + 0.05 * spots)


def _drive(screw: Screw, s: Floats, r: Floats) -> Floats:
    """The head's face seen at a slant: a lighter lens along the rim with the dark drive in it."""
    depth = 0.05 * screw.tilt
    radius = float(screw.radius[0])
    face = (s / depth) ** 2 + (r / radius) ** 2
    hole = ((s - depth * 0.25) / (depth * 0.32)) ** 2 + (r / (radius * 0.36)) ** 2
    rays = 0.3 * np.sin(r / radius * 14 + screw.phase * 6)
    return -0.22 * ramp(face, 1.0, 0.85) + ramp(hole, 1.1, 0.7) * (0.6 + rays)


def _scrape(
    screw: Screw, metal: Floats, cover: Floats, grain: Floats, spots: Floats
) -> tuple[Floats, Floats]:
    x, y = pixel_centres(screw.size)
    region = np.zeros_like(metal)
    for scar in screw.scars:
        patch = coverage([Stroke(scar.outline, 255)], screw.size)
        direction = x * math.sin(scar.grooves) - y * math.cos(scar.grooves)
        coarse = np.sin(direction * 330 + 0.7 * grain)
        fine = np.sin(direction * 570 + 0.9 * spots)
        bared = scar.grey + scar.contrast * (coarse + 0.6 * fine) + 10 * grain
        metal = metal + patch * (bared - metal)
        region = np.maximum(region, patch * cover)
    return metal, region


def _scar(
    screw: Screw,
    rng: np.random.Generator,
    s: float,
    r: float,
    radius: float,
    *,
    stretch: float,
    bright: float = 0.85,
) -> None:
    """Bare the metal about (s, r): filed bright, or gouged dark."""
    turn = screw.angle + rng.normal(0, 0.35)
    centre = screw.to_picture(s, r)
    shine = rng.uniform(158, 205) if rng.random() < bright else rng.uniform(40, 58)
    outline = blob(rng, centre, radius * screw.length, stretch=stretch, angle=turn, roughness=0.13)
    grooves = turn + rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.2)
    screw.scars.append(Scar(outline, shine, grooves, rng.uniform(12, 24)))


def _burrs(screw: Screw, rng: np.random.Generator, s: float, r: float, count: int) -> None:
    centre = screw.to_picture(s, r)
    outwards = screw.angle + np.sign(r) * np.pi / 2
    reach, grey = 0.018 * screw.length, (screw.metal, screw.metal)
    screw.burrs += fray(rng, centre, reach, grey, count=count, width=0.005, towards=outwards)


def _manipulated_front(screw: Screw, rng: np.random.Generator) -> None:
    kind = rng.choice(["cut", "bent", "crushed"])
    if kind == "bent":
        screw.bend_start = rng.uniform(0.88, 0.91)
        screw.tip_bend = rng.choice([-1, 1]) * rng.uniform(1.1, 2.2)
        screw.tip = rng.uniform(0.96, 1.0)
        return
    screw.tip = rng.uniform(0.875, 0.94)
    _scar(screw, rng, screw.tip, 0, 0.018, stretch=0.8)
    if kind == "crushed":
        s = screw.tip - 0.01
        for side in (-1, 1):
            _burrs(screw, rng, s, side * screw.radius_at(s), int(rng.integers(3, 8)))


def _scratch_head(screw: Screw, rng: np.random.Generator) -> None:
    for _ in range(1 + (rng.random() < 0.25)):
        s, r = rng.uniform(0.015, 0.055), rng.uniform(-0.75, 0.75) * screw.radius_at(0.03)
        _scar(screw, rng, s, r, rng.uniform(0.024, 0.036), stretch=rng.uniform(0.7, 2.0))


def _scratch_neck(screw: Screw, rng: np.random.Generator) -> None:
    s = rng.uniform(screw.head + 0.03, screw.thread_start - 0.05)
    r = rng.uniform(-0.7, 0.7) * screw.radius_at(s)
    radius = rng.uniform(0.025, 0.038)
    _scar(screw, rng, s, r, radius, stretch=rng.uniform(0.7, 2.2))
    if rng.random() < 0.4:
        _scar(screw, rng, s + radius, r, radius * 0.7, stretch=1.3, bright=0.2)


def _thread_side(screw: Screw, rng: np.random.Generator) -> None:
    side = rng.choice([-1, 1])
    heights = screw.left if side < 0 else screw.right
    first = int(rng.integers(1, 6))
    for number in range(first, first + rng.integers(2, 4)):
        s = screw.thread_start + (number + 0.5 - side * 0.3 - screw.phase) * screw.pitch
        core = screw.radius_at(s)
        heights[number] = rng.uniform(0.0, 0.35)
        _scar(screw, rng, s, side * core * 0.95, rng.uniform(0.014, 0.021), stretch=1.2)
        _burrs(screw, rng, s, side * core, int(rng.integers(0, 4)))


def _thread_top(screw: Screw, rng: np.random.Generator) -> None:
    s = rng.uniform(screw.thread_start + 0.06, 0.86)
    core = screw.radius_at(s)
    radius = core * rng.uniform(0.75, 1.2)
    _scar(screw, rng, s, rng.uniform(-0.3, 0.3) * core, radius, stretch=rng.uniform(0.9, 1.7))
    if rng.random() < 0.5:
        _scar(screw, rng, s + radius, 0, radius * 0.4, stretch=1.0, bright=0.3)


CLASSES: dict[str, Callable[[Screw, np.random.Generator], None]] = {
    "manipulated_front": _manipulated_front,
    "scratch_head": _scratch_head,
    "scratch_neck": _scratch_neck,
    "thread_side": _thread_side,
    "thread_top": _thread_top,
}
