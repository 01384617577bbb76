#!/usr/bin/env bash
# opencv-python-headless 5.0.0.93, numpy 2.4.6, Python 3.11
#
# A 16-bit colour TIFF, written by OpenCV itself, is read with IMREAD_COLOR_RGB | IMREAD_ANYDEPTH.
# Behaviour: the array has the right shape and type (uint16), and no error is raised. The values are
# not those of the file: the pixels of the result are never written, so that two pixels of one
# colour differ, and every read may give others, the right ones by chance among them. IMREAD_COLOR | IMREAD_ANYDEPTH (BGR) reads the same
# file correctly, as IMREAD_COLOR_RGB | IMREAD_ANYDEPTH reads a PNG of the same pixels.
# Seen, for a picture of one colour, red 60000, green 30000, blue 1000:
#   TIFF, BGR order: [1000 30000 60000]
#   PNG,  RGB order: [60000 30000 1000]
#   TIFF, RGB order: [59568 54166 32620] at one pixel, [2880 54167 32620] at another
# Expected: [60000 30000 1000] at every pixel, or an error.
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

red, green, blue = 60000, 30000, 1000
picture = np.zeros((64, 64, 3), np.uint16)
picture[:] = (blue, green, red)  # OpenCV writes BGR
for name in ("picture.tif", "picture.png"):
    assert cv2.imwrite(name, picture)

bgr = cv2.imread("picture.tif", cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
png = cv2.imread("picture.png", cv2.IMREAD_COLOR_RGB | cv2.IMREAD_ANYDEPTH)
other = np.full_like(picture, 7)  # memory of the same size, which is free again at the next line
del other
rgb = cv2.imread("picture.tif", cv2.IMREAD_COLOR_RGB | cv2.IMREAD_ANYDEPTH)
right = (rgb == (red, green, blue)).all(axis=-1)
print("TIFF, BGR order:", bgr[0, 0])
print("PNG,  RGB order:", png[0, 0])
print(f"TIFF, RGB order: {right.mean():.0%} of the pixels are right")
as_described = (
    (bgr == picture).all()
    and (png == picture[..., ::-1]).all()
    and (rgb.shape, rgb.dtype) == (picture.shape, picture.dtype)
    and not right.all()
)
sys.exit(0 if as_described else 1)
PYTHON
