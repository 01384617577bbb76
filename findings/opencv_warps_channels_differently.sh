#!/usr/bin/env bash
# opencv-python-headless 5.0.0.93, numpy 2.4.6, Python 3.11
#
# What warpAffine makes of a channel depends on how many channels are warped with it.
# Behaviour: on arrays of two, five or eight channels, warpAffine with INTER_LINEAR gives other values
# than on each channel alone; with three and four channels they are equal.
# Seen: uint8 differs by up to 6 of 255, uint16 by up to 1,723 of 65,535; three and four channels: by 0.
# Expected: a channel's values do not depend on its neighbours, as with three and four.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet opencv-python-headless==5.0.0.93 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import cv2
import numpy as np

draw = np.random.default_rng(0)
TURN = cv2.getRotationMatrix2D((48, 32), 17, 1.1)


def warped(pixels):
    return cv2.warpAffine(pixels, TURN, (96, 64), flags=cv2.INTER_LINEAR)


def difference(number, dtype):
    """The largest difference between channels warped together and each alone."""
    pixels = draw.integers(0, np.iinfo(dtype).max, (64, 96, number), dtype)
    alone = np.dstack([warped(np.ascontiguousarray(pixels[..., i])) for i in range(number)])
    largest = int(np.abs(warped(pixels).astype(int) - alone.astype(int)).max())
    print(f"{number} channels, {np.dtype(dtype).name}: differ by up to {largest}")
    return largest


equal = [difference(number, dtype) for number in (3, 4) for dtype in (np.uint8, np.uint16)]
differ = [difference(number, dtype) for number in (2, 5, 8) for dtype in (np.uint8, np.uint16)]
sys.exit(0 if not any(equal) and all(differ) else 1)
PYTHON
