"""A closed coil zipper on dark woven tape, on white paper.

A scene consists of the tape's two edges, the teeth (two rows of wire loops that interlock in the
middle) and everything on or under them. Flaws change the scene before it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flexunet_exp.data.synthetic.texture import (
    Floats,
    Stroke,
    blob,
    bump,
    coverage,
    enlarge,
    fibre,
    fray,
    paint,
    pixel_centres,
    shrink,
    smooth_noise,
)

EDGE = 65
"""Samples of an edge of the tape."""


@dataclass
class Teeth:
    """One row of loops, all in picture coordinates but `shine` (a grey) and `side` (-1 left)."""

    side: int
    y: NDArray[np.float64]
    root: NDArray[np.float64]
    end: NDArray[np.float64]
    drop: NDArray[np.float64]
    shine: NDArray[np.float64]

    def near(self, y: float, half: float) -> NDArray[np.bool_]:
        return np.abs(self.y - y) < half


@dataclass
class Zipper:
    """The scene; `below` is drawn on the tape under the teeth, `above` over everything."""

    size: int
    middle: float
    half: float
    pitch: float
    edges: NDArray[np.float64]
    rows: tuple[Teeth, Teeth]
    cloth: float
    weave: tuple[float, float, float]
    gaps: list[Stroke] = field(default_factory=list)
    below: list[Stroke] = field(default_factory=list)
    above: list[Stroke] = field(default_factory=list)
    regions: list[Stroke] = field(default_factory=list)


def draw(
    size: int, scene: np.random.Generator, defect: str | None, flaw: np.random.Generator
) -> tuple[Floats, Floats]:
    """The picture (size, size), grey 0..255, and the natural region of the defect, 0..1."""
    shape, surface = scene.spawn(2)
    zipper = _sew(shape, size)
    if defect:
        CLASSES[defect](zipper, flaw)
    return _shade(zipper, surface), coverage(zipper.regions, size)


def _sew(rng: np.random.Generator, size: int) -> Zipper:
    pitch, half = rng.uniform(0.03, 0.034), rng.uniform(0.058, 0.066)
    middle = rng.uniform(0.46, 0.54)
    left, right = middle - rng.uniform(0.34, 0.4), middle + rng.uniform(0.34, 0.4)
    slant = rng.normal(0, 0.006)
    along = np.linspace(0, 1, EDGE)
    scallop = 0.003 * np.sin(along * 2 * np.pi / (pitch * 2.1) + rng.uniform(0, 6))
    edges = (
        np.array([left, right])[:, None] + slant * (along - 0.5) + rng.normal(0, 0.0022, (2, EDGE))
    )
    edges = edges + scallop
    return Zipper(
        size=size,
        middle=middle,
        half=half,
        pitch=pitch,
        edges=edges,
        rows=(_row(rng, -1, middle, half, pitch), _row(rng, 1, middle, half, pitch)),
        cloth=rng.uniform(52, 72),
        weave=(rng.uniform(0.015, 0.019), rng.uniform(0.014, 0.017), rng.uniform(0.42, 0.6)),
    )


def _row(rng: np.random.Generator, side: int, middle: float, half: float, pitch: float) -> Teeth:
    number = int(1 / pitch) + 4
    start = -pitch * (1.5 if side < 0 else 1.0)
    jitter = rng.normal(0, 0.035 * pitch, number)
    return Teeth(
        side=side,
        y=start + np.arange(number) * pitch + jitter,
        root=middle + side * half * rng.normal(1, 0.02, number),
        end=middle - side * half * rng.normal(0.18, 0.02, number),
        drop=pitch * rng.normal(0.22, 0.05, number),
        shine=rng.normal(128, 13, number),
    )


def _shade(zipper: Zipper, rng: np.random.Generator) -> Floats:
    cloth = _weave(zipper, rng)
    x, _ = pixel_centres(zipper.size)
    grey = cloth * (1 - 0.3 * bump(x, zipper.middle, zipper.half * 2.4).astype(np.float32))
    canvas = enlarge(grey)
    _cut_out(canvas, zipper)
    paint(canvas, zipper.below)
    _draw_teeth(canvas, zipper)
    paint(canvas, zipper.above)
    picture = shrink(canvas)
    # The paper is overexposed, so that no shadow of the lamp shows on it.
    return picture * (1 + 0.3 * (picture / 255) ** 4)


def _weave(zipper: Zipper, rng: np.random.Generator) -> Floats:
    """Plain weave: threads pass over and under each other, a little unevenly."""
    size = zipper.size
    width, height, depth = zipper.weave
    x, y = pixel_centres(size)
    # Never finer than the pixels can show.
    across, down = (
        place / max(period, 3.2 / size)
        + 0.4 * smooth_noise(rng, size, 12)
        + 0.16 * smooth_noise(rng, size, 45)
        for place, period in ((x, width), (y, height))
    )
    column, line = np.floor(across), np.floor(down)
    upright = np.sin(np.pi * (across - column)), np.sin(np.pi * (down - line))
    warp = upright[0] * np.sqrt(np.sqrt(upright[1]))
    weft = 0.8 * upright[1] * np.sqrt(np.sqrt(upright[0]))
    over = np.where((column + line) % 2 == 0, warp, weft)
    wear = 0.035 * smooth_noise(rng, size, 9) + 0.09 * smooth_noise(rng, size, 90)
    return zipper.cloth * (1 - depth + 1.5 * depth * over + wear).astype(np.float32)


def _cut_out(canvas: NDArray[np.uint8], zipper: Zipper) -> None:
    along = np.linspace(-0.01, 1.01, EDGE)
    for border, edge in zip((-0.1, 1.1), zipper.edges, strict=True):
        outline = np.concatenate([np.stack([edge, along], 1), [[border, 1.1], [border, -0.1]]])
        paint(canvas, [Stroke(outline, 253)])


def _draw_teeth(canvas: NDArray[np.uint8], zipper: Zipper) -> None:
    pitch = zipper.pitch
    for row in zipper.rows:
        bed = np.concatenate([np.stack([row.root, row.y], 1), np.stack([row.end, row.y], 1)[::-1]])
        paint(canvas, [Stroke(bed, 30)])
    paint(canvas, zipper.gaps)
    loops = np.concatenate([_loops(row) for row in zipper.rows])
    shines = np.concatenate([row.shine for row in zipper.rows])
    # From the top down, so that each loop lies over the one of the other row before it.
    for tooth in np.argsort(loops[:, :, 1].mean(1)):
        if shines[tooth] > 0:
            paint(canvas, _loop_strokes(loops[tooth], shines[tooth], pitch))


def _loop_strokes(path: NDArray[np.float64], shine: float, pitch: float) -> list[Stroke]:
    shadow = Stroke(path + (0, pitch * 0.16), 20, pitch * 0.62)
    body = Stroke(path, 60, pitch * 0.42)
    return [shadow, body, Stroke(path[1:-1] - (0, pitch * 0.08), shine, pitch * 0.15)]


def _loops(row: Teeth) -> NDArray[np.float64]:
    """The path of each loop (N, 6, 2): from its root at the tape, arching, to the other row."""
    t = np.linspace(0, 1, 6)
    x = row.root[:, None] + (row.end - row.root)[:, None] * t
    y = row.y[:, None] + row.drop[:, None] * ((2 * t - 1) ** 2 - 0.5)
    return np.stack([x, y], -1)


def _broken_teeth(zipper: Zipper, rng: np.random.Generator) -> None:
    row = zipper.rows[rng.integers(2)]
    y = rng.uniform(0.06, 0.94)
    hit = row.near(y, zipper.pitch * rng.uniform(0.8, 2.8))
    left = np.where(rng.random(row.y.size) < 0.45, 0, rng.uniform(0.15, 0.55, row.y.size))
    row.end[hit] = (row.root + left * (row.end - row.root))[hit]
    row.drop[hit] *= rng.uniform(-2, 2)
    row.shine[hit & (left == 0)] = 0
    for end, height in zip(row.end[hit], row.y[hit], strict=True):
        if rng.random() < 0.5:
            size, angle = zipper.pitch * rng.uniform(0.12, 0.28), rng.normal(0, 0.7)
            stump = blob(
                rng, (end, height), size, stretch=rng.uniform(1, 2.5), angle=angle, roughness=0.4
            )
            zipper.above.append(Stroke(stump, rng.uniform(130, 235)))


def _split_teeth(zipper: Zipper, rng: np.random.Generator) -> None:
    y, half = rng.uniform(0.1, 0.9), rng.uniform(0.08, 0.19)
    gap = rng.uniform(0.014, 0.034)
    shares = rng.choice([(1, 1), (0.4, 1.5), (1.5, 0.4)])
    for row, share in zip(zipper.rows, shares, strict=True):
        shift = row.side * (0.35 * zipper.half + gap * share) * bump(row.y, y, half)
        row.end += np.where(np.abs(row.y - y) < half, shift, 0)
        row.root += row.side * gap * share * bump(row.y, y, half)
    along = np.linspace(y - half * 0.8, y + half * 0.8, 15)
    open_half = gap * 0.8 * bump(along, y, half)
    lens = np.concatenate(
        [
            np.stack([zipper.middle - open_half, along], 1),
            np.stack([zipper.middle + open_half, along], 1)[::-1],
        ]
    )
    zipper.gaps.append(Stroke(lens, rng.choice([18.0, 26.0, 220.0])))


def _squeezed_teeth(zipper: Zipper, rng: np.random.Generator) -> None:
    y, half = rng.uniform(0.1, 0.9), rng.uniform(0.07, 0.12)
    pull, narrow = rng.uniform(0.35, 0.55), rng.uniform(0.35, 0.5)
    side = rng.normal(0, 0.012)
    for row in zipper.rows:
        strength = bump(row.y, y, half)
        row.root += strength * (narrow * (zipper.middle - row.root) + side)
        row.end += strength * (narrow * (zipper.middle - row.end) + side)
        row.drop += strength * zipper.pitch * rng.normal(0, 0.5, row.y.size)
        row.shine -= strength * rng.uniform(0, 30)
        row.y = row.y + pull * (y - row.y) * strength


def _rough(zipper: Zipper, rng: np.random.Generator) -> None:
    y, half = rng.uniform(0.1, 0.9), rng.uniform(0.05, 0.11)
    for row in zipper.rows:
        hit = row.near(y, half)
        row.shine[hit] += rng.uniform(0, 120, hit.sum())
        row.drop[hit] += zipper.pitch * rng.normal(0, 0.12, hit.sum())
        for tooth in np.flatnonzero(hit):
            x = row.root[tooth] - row.side * zipper.half * rng.uniform(-0.1, 0.9)
            scuff = blob(
                rng, (x, row.y[tooth]), 0.0045, stretch=rng.uniform(1, 4), angle=rng.normal(0, 0.4)
            )
            zipper.above.append(Stroke(scuff, rng.uniform(150, 250)))
            zipper.above += fray(rng, (x, row.y[tooth]), 0.018, (90, 230), count=5, width=0.002)


def _fabric_border(zipper: Zipper, rng: np.random.Generator) -> None:
    side = rng.integers(2)
    outwards = (-1, 1)[side]
    y, half = rng.uniform(0.06, 0.94), rng.uniform(0.025, 0.06)
    along = np.linspace(-0.01, 1.01, EDGE)
    depth = rng.uniform(0.02, 0.05) * rng.choice([1, 1, -0.3])
    edge = zipper.edges[side]
    edge -= outwards * depth * bump(along, y, half) * rng.uniform(0.6, 1.2, EDGE)
    for _ in range(5):
        height = rng.normal(y, half * 0.4)
        place = (float(np.interp(height, along, edge)), height)
        angle = 0 if outwards > 0 else np.pi
        zipper.above += fray(rng, place, 0.03, (50, 190), count=8, width=0.003, towards=angle)


def _fabric_interior(zipper: Zipper, rng: np.random.Generator) -> None:
    side = rng.integers(2)
    outwards = (-1, 1)[side]
    inner = zipper.middle + outwards * (zipper.half + 0.05)
    outer = zipper.edges[side].mean() - outwards * 0.06
    place = (rng.uniform(*sorted((inner, outer))), rng.uniform(0.08, 0.92))
    if rng.random() < 0.55:
        _hole(zipper, rng, place)
    else:
        _pulled_thread(zipper, rng, place)


def _hole(zipper: Zipper, rng: np.random.Generator, place: tuple[float, float]) -> None:
    radius, angle = rng.uniform(0.026, 0.05), rng.uniform(0, np.pi)
    stretch = rng.uniform(1, 1.8)
    outline = blob(rng, place, radius, stretch=stretch, angle=angle, roughness=0.25)
    zipper.below.append(Stroke(outline, rng.choice([22.0, 34.0])))
    greys = (zipper.cloth * 0.6, zipper.cloth * 1.8)
    zipper.below += fray(rng, place, radius * 1.2, greys, count=18, width=0.003)
    zipper.regions.append(Stroke(outline, 255))


def _pulled_thread(zipper: Zipper, rng: np.random.Generator, place: tuple[float, float]) -> None:
    angle = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.25)
    for _ in range(rng.integers(3, 8)):
        start = rng.normal(place, 0.014)
        path = fibre(rng, start, angle, rng.uniform(0.08, 0.18), 1.2)
        zipper.below.append(Stroke(path + 0.005, 22, 0.008))
        zipper.below.append(Stroke(path, rng.uniform(95, 165), 0.006))


def _combined(zipper: Zipper, rng: np.random.Generator) -> None:
    single = [name for name in CLASSES if name != "combined"]
    for name in rng.choice(single, 2, replace=False):
        CLASSES[name](zipper, rng)


CLASSES: dict[str, Callable[[Zipper, np.random.Generator], None]] = {
    "broken_teeth": _broken_teeth,
    "combined": _combined,
    "fabric_border": _fabric_border,
    "fabric_interior": _fabric_interior,
    "rough": _rough,
    "split_teeth": _split_teeth,
    "squeezed_teeth": _squeezed_teeth,
}
