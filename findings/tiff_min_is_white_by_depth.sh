#!/usr/bin/env bash
# opencv-python-headless 5.0.0.93, pillow 13.0.0, tifffile 2026.3.3, numpy 2.4.6, Python 3.11
#
# White and black are exchanged in radiographs of 8 bits, and not in the same ones of 16 bits.
# Behaviour: a TIFF may say that its value 0 is white (PhotometricInterpretation 0, MINISWHITE), as scanners and
# X-ray detectors do. OpenCV and Pillow turn the values of 1 and 8 bits round, so that a bright pixel has a
# large number, and leave those of 16 bits as they are stored. OpenCV's IMREAD_COLOR, which makes 8 bits of 16,
# turns these round, too; with IMREAD_ANYDEPTH they are not. No warning tells the two apart. A set with files of
# both depths, or a network that was trained on pictures of 8 bits, meets negatives.
# Seen: a white pixel (stored 0) and a black one (the largest number). 8 bits: 255 and 0; 16 bits: 0 and 65535.
# tifffile gives the stored numbers of both.
# Expected: the same order of light and dark at each depth.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet opencv-python-headless==5.0.0.93 pillow==13.0.0 tifffile==2026.3.3 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import cv2
import numpy as np
import tifffile
from PIL import Image

readers = {
    "OpenCV": lambda: cv2.imread("x.tif", cv2.IMREAD_UNCHANGED),
    "OpenCV, any depth": lambda: cv2.imread("x.tif", cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)[..., 0],
    "OpenCV, 8 bits": lambda: cv2.imread("x.tif", cv2.IMREAD_COLOR)[..., 0],
    "Pillow": lambda: np.array(Image.open("x.tif")),
    "tifffile": lambda: tifffile.imread("x.tif"),
}
seen = {}
for kind in (np.uint8, np.uint16):
    stored = np.zeros((16, 24), kind)  # white
    stored[:, 12:] = np.iinfo(kind).max  # black
    tifffile.imwrite("x.tif", stored, photometric="miniswhite")
    for name, read in readers.items():
        pixels = read()
        white, black = pixels[0, 0].item(), pixels[0, -1].item()
        seen[name, np.dtype(kind).name] = "turned" if white > black else "as stored"
        print(f"{name}, {np.dtype(kind).name}: white {white}, black {black}")
for name in ("OpenCV", "OpenCV, any depth", "Pillow"):
    assert (seen[name, "uint8"], seen[name, "uint16"]) == ("turned", "as stored")
assert seen["OpenCV, 8 bits", "uint8"] == seen["OpenCV, 8 bits", "uint16"] == "turned"
assert seen["tifffile", "uint8"] == seen["tifffile", "uint16"] == "as stored"
print("as described")
PYTHON
