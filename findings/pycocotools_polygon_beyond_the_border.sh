#!/usr/bin/env bash
# pycocotools 2.0.11, numpy 2.4.0, Python 3.11
#
# Where a polygon lies changes its pixels inside of the picture.
# Behaviour: frPyObjects multiplies coordinates by five, adds one half and cuts to whole numbers, which
# rounds to the nearest fifth of a pixel only where they are positive. Left of the picture or above it,
# the cut goes towards zero, to the next fifth on the right or below. A polygon of one decimal that
# reaches over the left or upper border has other pixels than the same polygon in a larger picture,
# moved by whole pixels: to crop a picture with its polygons and to draw is not to draw and to crop.
# Seen: 1110 of 2000 polygons differ, by up to 17 pixels; none differs without negative coordinates.
# Expected: equal pixels, since the polygons are moved by whole pixels.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet pycocotools==2.0.11 numpy==2.4.0
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
from pycocotools import mask

SIDE, MOVED = 64, 16


def pixels(ring, side):
    (runs,) = mask.frPyObjects([ring.ravel().tolist()], side, side)
    return mask.decode(runs)


def differing(lowest):
    draw = np.random.default_rng(0)
    numbers = []
    for _ in range(2000):
        ring = draw.uniform(lowest, 40, (6, 2)).round(1)
        moved = pixels(ring + MOVED, SIDE + MOVED)[MOVED:, MOVED:]
        numbers.append(int((pixels(ring, SIDE) != moved).sum()))
    print(f"coordinates from {lowest}: {np.count_nonzero(numbers)} differ, by up to {max(numbers)} pixels")
    return np.count_nonzero(numbers)


sys.exit(0 if differing(2) == 0 and differing(-10) > 500 else 1)
PYTHON
