#!/usr/bin/env bash
# opencv-python-headless 5.0.0.93, tifffile 2026.3.3, numpy 2.4.6, Python 3.11
#
# An RGB TIFF of 16 bits that stores its colours as planes is read with mixed-up pixels.
# Behaviour: with PlanarConfiguration 2 and 16 bits, imread takes the values of the planes as if they
# were interleaved. Shape and type are right, and nothing is raised or logged. The same file of 8 bits is
# read right, and so is the one of 16 bits with PlanarConfiguration 1.
# Seen: 8 bits planar 100 % of values right, 16 bits interleaved 100 %, 16 bits planar below 1 %.
# Expected: the same pixels from all of them.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet opencv-python-headless==5.0.0.93 tifffile==2026.3.3 \
    numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import cv2
import numpy as np
import tifffile

draw = np.random.default_rng(0)


def right(dtype, planarconfig):
    """The share of values that OpenCV reads as they were written."""
    pixels = draw.integers(0, np.iinfo(dtype).max, (64, 96, 3), dtype)
    stored = np.moveaxis(pixels, -1, 0) if planarconfig == "separate" else pixels
    tifffile.imwrite("rgb.tif", stored, photometric="rgb", planarconfig=planarconfig)
    read = cv2.imread("rgb.tif", cv2.IMREAD_UNCHANGED)
    assert read.shape == pixels.shape and read.dtype == dtype, (read.shape, read.dtype)
    share = float((read[..., ::-1] == pixels).mean())
    print(f"{np.dtype(dtype).name}, {planarconfig}: {100 * share:.1f} % of values right")
    return share


whole = right(np.uint8, "separate") == right(np.uint16, "contig") == 1
sys.exit(0 if whole and right(np.uint16, "separate") < 0.05 else 1)
PYTHON
