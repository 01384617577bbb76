#!/usr/bin/env bash
# opencv-python-headless 5.0.0.93, tifffile 2026.3.3, numpy 2.4.6, pillow 13.0.0, Python 3.11
#
# Of a TIFF of two channels, one is read, in 8 bits.
# Behaviour: a TIFF with two grey samples a pixel (two lights, or intensity and depth), as tifffile
# writes it, gives with IMREAD_UNCHANGED one array (H, W) of uint8: the first channel, of a file of 16
# bits its high bytes alone. Nothing is raised or logged. Pillow opens the file of 8 bits as the first
# channel (mode L), and refuses that of 16 bits. Of five channels, both refuse the file.
# Seen: uint8 and uint16: OpenCV (32, 48) uint8, channel 0; Pillow L channel 0, and UnidentifiedImageError.
# Expected: two channels in their own type, or a refusal, as for five channels.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet opencv-python-headless==5.0.0.93 tifffile==2026.3.3 \
    numpy==2.4.6 pillow==13.0.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import cv2
import numpy as np
import tifffile
from PIL import Image

draw = np.random.default_rng(0)
as_described = True
for dtype in (np.uint8, np.uint16):
    pixels = draw.integers(0, np.iinfo(dtype).max, (32, 48, 2), dtype)
    tifffile.imwrite("two.tif", pixels, photometric="minisblack", planarconfig="contig")
    assert np.array_equal(tifffile.imread("two.tif"), pixels)
    high = (pixels >> 8).astype(np.uint8) if dtype is np.uint16 else pixels

    def channel(read):
        """Which channel an array is, in 8 bits; None for neither."""
        return next((i for i in (0, 1) if np.array_equal(read, high[..., i])), None)

    read = cv2.imread("two.tif", cv2.IMREAD_UNCHANGED)
    print(f"OpenCV, {dtype.__name__}: {read.shape} {read.dtype}, channel {channel(read)}")
    as_described &= read.shape == (32, 48) and read.dtype == np.uint8
    as_described &= channel(read) == 0
    try:
        picture = Image.open("two.tif")
        print(f"Pillow, {dtype.__name__}: {picture.mode}, channel {channel(np.asarray(picture))}")
        as_described &= dtype is np.uint8 and picture.mode == "L"
    except OSError as error:
        print(f"Pillow, {dtype.__name__}: refused ({type(error).__name__})")
        as_described &= dtype is np.uint16
sys.exit(0 if as_described else 1)
PYTHON
