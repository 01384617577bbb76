#!/usr/bin/env bash
# opencv-python-headless 5.0.0.93, scipy 1.17.1, numpy 2.4.6, Python 3.11
#
# Closing or opening with a kernel of an even side moves every region by a pixel.
# Behaviour: morphologyEx erodes and dilates with the kernel at the same anchor. A kernel of an even side has
# no middle, and its dilation is not mirrored, so that the second step does not take back the shift of the
# first one, but adds to it: MORPH_OPEN and MORPH_CLOSE bring each region one pixel down and to the right, and
# do so again each time. A closed mask then lacks pixels of the mask (closing only ever adds), an opened one
# has pixels outside of it (opening only ever removes), and what MORPH_TOPHAT and MORPH_BLACKHAT leave is two
# sides of every region.
# Seen: a square of 8 x 8 from (10, 10). Closed with 2 x 2, 4 x 4 and 6 x 6, or opened: from (11, 11), 15 of
# its 64 pixels uncovered; five closings: from (15, 15). With 3 x 3 and 5 x 5, and with every kernel in
# SciPy: from (10, 10).
# Expected: a square is closed and opened already, so that neither changes it, whatever the kernel's side.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet opencv-python-headless==5.0.0.93 scipy==1.17.1 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import cv2
import numpy as np
from scipy import ndimage

square = np.zeros((40, 40), np.uint8)
square[10:18, 10:18] = 1


def corner(mask):
    """Row and column where a mask begins, and how many pixels of the square it lacks."""
    return *np.argwhere(mask).min(axis=0).tolist(), int((square > mask).sum())


for side in (2, 3, 4, 5, 6):
    kernel = np.ones((side, side), np.uint8)
    opened, closed = (cv2.morphologyEx(square, kind, kernel) for kind in (cv2.MORPH_OPEN, cv2.MORPH_CLOSE))
    others = [kind(square, kernel).astype(np.uint8) for kind in (ndimage.binary_opening, ndimage.binary_closing)]
    hats = [int(cv2.morphologyEx(square, kind, kernel).sum()) for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)]
    print(f"{side} x {side}: opened {corner(opened)}, closed {corner(closed)}, hats {hats},", end=" ")
    print("SciPy", [corner(other) for other in others])
    moved = (11, 11, 15) if side % 2 == 0 else (10, 10, 0)
    assert corner(opened) == corner(closed) == moved
    assert hats == [moved[2]] * 2
    assert [corner(other) for other in others] == [(10, 10, 0)] * 2

again = square
for _ in range(5):
    again = cv2.morphologyEx(again, cv2.MORPH_CLOSE, np.ones((4, 4), np.uint8))
print("closed five times with 4 x 4:", corner(again))
assert corner(again)[:2] == (15, 15)
print("as described")
PYTHON
