#!/usr/bin/env bash
# keras 3.15.1, tensorflow-cpu 2.21.0, numpy 2.4.6, Python 3.11
#
# A crop that is larger than the picture blends the classes of its mask.
# Behaviour: where RandomCrop or CenterCrop is larger than the picture, both resize picture and mask to
# the crop's size, the masks bilinearly, too. At the outline of a region the mask then holds fractions, and
# between the classes 0 and 3 also 1 and 2. Resizing keeps masks to their classes.
# Seen: a mask of 64 px with the classes 0 and 3, cropped to 80 px: more than a dozen values between.
# Expected: nearest neighbour for masks, as in Resizing and RandomRotation; or an error.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet keras==3.15.1 tensorflow-cpu==2.21.0 numpy==2.4.6
cd "$folder"
export TF_CPP_MIN_LOG_LEVEL=3
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from keras import layers

masks = np.zeros((1, 64, 64, 1), np.float32)
masks[0, 10:40, 12:30] = 3
pictures = np.repeat(masks * 60, 3, axis=-1)
for layer, blends in (
    (layers.RandomCrop(80, 80), True),
    (layers.CenterCrop(80, 80), True),
    (layers.Resizing(80, 80), False),
):
    made = layer({"images": pictures, "segmentation_masks": masks}, training=True)
    found = np.unique(np.array(made["segmentation_masks"]))
    between = found[(found > 0) & (found < 3)]
    print(type(layer).__name__, len(between), "values between the classes 0 and 3", between[:4])
    assert (len(between) > 4) == blends
print("as described")
PYTHON
