#!/usr/bin/env bash
# albumentations 2.0.8, albucore 0.0.24, opencv-python-headless 5.0.0.93, numpy 2.4.6, Python 3.11
#
# A median filter turns a 16-bit picture white, and nothing is raised.
# Behaviour: MedianBlur and Downscale convert a uint16 picture to 8 bits through float32 as if its values
# were 0..1: they multiply by 255 and cut at 255. What comes back is a float32 picture that is white,
# at or near 255.0 everywhere. RandomGamma returns float64 with other values than its formula gives. GaussianBlur, Affine
# and the distortions work on the same picture as they should, and GaussNoise, CLAHE and Equalize raise an
# error, so that a pipeline of 12-bit cameras trains on white pictures only where these two were drawn.
# Seen: uint16 with values 0..4095 becomes float32 from 255.0 to 255.0 (MedianBlur), from 241.0 to 255.0
# (Downscale); RandomGamma has the mean 9886 where its formula gives 1076.
# Expected: an error, as the other transforms raise that do not take 16 bits, or a filtered picture.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet albumentations==2.0.8 albucore==0.0.24 \
  opencv-python-headless==5.0.0.93 numpy==2.4.6
NO_ALBUMENTATIONS_UPDATE=1 "$folder/venv/bin/python" - <<'PYTHON'
import sys

import albumentations as A
import numpy as np

picture = np.random.default_rng(0).integers(0, 4096, (64, 64, 3), dtype=np.uint16)
mask = np.zeros((64, 64), np.uint8)
mask[20:40, 20:40] = 3
right = []
for transform in (A.MedianBlur(p=1), A.Downscale(p=1)):
    found = A.Compose([transform], seed=0)(image=picture, mask=mask)
    image = found["image"]
    print(type(transform).__name__, image.dtype, "from", image.min(), "to", image.max())
    right.append(image.dtype == np.float32 and image.min() > 200 and image.mean() > 254)
gamma = A.Compose([A.RandomGamma(gamma_limit=(120, 120), p=1)], seed=0)(image=picture)["image"]
formula = 65535 * (picture / 65535) ** 1.2
print("RandomGamma", gamma.dtype, "mean", gamma.mean().round(), "by its formula", formula.mean().round())
right.append(gamma.dtype == np.float64 and abs(gamma.mean() - formula.mean()) > 1000)
blurred = A.Compose([A.GaussianBlur(p=1)], seed=0)(image=picture)["image"]
right.append(blurred.dtype == np.uint16 and abs(blurred.mean() - picture.mean()) < 5)
try:
    A.Compose([A.GaussNoise(p=1)], seed=0)(image=picture)
    right.append(False)
except Exception as error:
    print("GaussNoise raises", type(error).__name__)
sys.exit(0 if all(right) else 1)
PYTHON
