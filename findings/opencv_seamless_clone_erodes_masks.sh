#!/usr/bin/env bash
# opencv-python-headless 5.0.0.93, numpy 2.4.6, Python 3.11
#
# seamlessClone(source, destination, mask, centre, NORMAL_CLONE) puts a bright square of 10 x 10 pixels
# on a grey picture. The mask is the square and some pixels around it.
# Behaviour: with one or two pixels around the square the result is the destination itself, the square
# is not there at all; with three it is there but darker, with four it has its full brightness. OpenCV
# shrinks the given mask before it takes gradients, so that a mask that follows an object closely
# loses the object's edge, and with it all of the object. The documentation names no such margin, and no
# error is raised.
# Seen, brightness 220 on 100, by the pixels around the square: 1: 100, 2: 100, 3: 209, 4: 220, 5: 220
# Expected: the square at its brightness for every mask that holds it with one pixel more, whose
# gradients are all of the object's.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import cv2
import numpy as np

source = np.full((64, 64, 3), 100, np.uint8)
source[27:37, 27:37] = 220
destination = np.full((128, 128, 3), 100, np.uint8)
seen = {}
for around in range(1, 6):
    mask = np.zeros((64, 64), np.uint8)
    mask[27 - around : 37 + around, 27 - around : 37 + around] = 255
    result = cv2.seamlessClone(source, destination, mask, (64, 64), cv2.NORMAL_CLONE)
    seen[around] = int(result.max())
    print(f"{around} pixels around the square: brightest pixel {seen[around]}")
as_described = seen[1] <= 101 and seen[2] <= 101 and seen[4] == seen[5] == 220
sys.exit(0 if as_described else 1)
PYTHON
