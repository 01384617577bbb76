#!/usr/bin/env bash
# opencv-python-headless 5.0.0.93, numpy 2.4.6, pillow 13.0.0, Python 3.11
#
# An RGBA picture with alpha 128 everywhere is saved by Pillow, once as TIFF and once as PNG. The TIFF
# says that its alpha is "unassociated" (tag ExtraSamples = 2): the colours are not multiplied by it.
# Behaviour: OpenCV returns the colours of the TIFF multiplied by alpha, those of the PNG as stored,
# although both are read with the same flags (IMREAD_COLOR and IMREAD_UNCHANGED alike). Class colours
# of a mask with such an alpha are no class colours any more.
# Seen, for the colour (200, 100, 50) as BGR:
#   PNG:  [50 100 200]
#   TIFF: [25 50 100]
# Expected: one result for both, [50 100 200], since the file says that nothing is multiplied.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet opencv-python-headless==5.0.0.93 numpy==2.4.6 pillow==13.0.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import cv2
import numpy as np
from PIL import Image

EXTRA_SAMPLES = 338
picture = np.zeros((16, 16, 4), np.uint8)
picture[:] = (200, 100, 50, 128)
for name in ("picture.tif", "picture.png"):
    Image.fromarray(picture).save(name)
kind = Image.open("picture.tif").tag_v2[EXTRA_SAMPLES]
seen = {
    (name, flags): cv2.imread(f"picture.{name}", flags)[0, 0, :3].tolist()
    for name in ("png", "tif")
    for flags in (cv2.IMREAD_COLOR, cv2.IMREAD_UNCHANGED)
}
print("ExtraSamples of the TIFF:", kind)
for (name, flags), colour in seen.items():
    print(f"{name}, flags {flags}: BGR {colour}")
expected = {"png": [50, 100, 200], "tif": [25, 50, 100]}
as_described = kind in ((2,), 2) and all(
    colour == expected[name] for (name, _), colour in seen.items()
)
sys.exit(0 if as_described else 1)
PYTHON
