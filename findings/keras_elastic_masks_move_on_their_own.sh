#!/usr/bin/env bash
# keras 3.15.1, tensorflow-cpu 2.21.0, numpy 2.4.6, Python 3.11
#
# RandomElasticTransform bends a mask otherwise than the picture that it belongs to.
# Behaviour: given {"images", "segmentation_masks"}, the layer draws one displacement for the images and
# then another one for the masks, so that a mask no longer lies on what it marks. Other geometric layers
# (RandomRotation, RandomPerspective, RandomShear …) move both alike. Besides, the masks are clipped to
# `value_range`, which is that of the pictures: with pictures of 0..1, every class above 1 becomes 1.
# Seen: a square of class 3 whose picture has the value 3, nearest interpolation for both: picture and
# mask differ in 115 to 150 of 4,096 pixels, where the square has 400; with RandomRotation in none. With
# value_range=(0, 1) the mask holds 0 and 1.
# Expected: the same displacement for both, and classes that stay what they are.
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

masks = np.zeros((2, 64, 64, 1), np.float32)
masks[:, 20:40, 20:40] = 3
pictures = np.repeat(masks, 3, axis=-1)


def moved(layer, pictures=pictures):
    made = layer({"images": pictures, "segmentation_masks": masks}, training=True)
    return np.array(made["images"])[..., 0], np.array(made["segmentation_masks"])[..., 0]


same = {"seed": 1, "interpolation": "nearest", "fill_mode": "constant"}
elastic, elastic_masks = moved(layers.RandomElasticTransform(1.0, 0.9, **same))
rotated, rotated_masks = moved(layers.RandomRotation(0.2, **same))
apart = [int((one != other).sum()) for one, other in zip(elastic, elastic_masks)]
print("pixels where picture and mask differ: elastic", apart, "rotation", int((rotated != rotated_masks).sum()))
assert (elastic != pictures[..., 0]).any()
assert min(apart) > 50
assert (rotated == rotated_masks).all() and (rotated != pictures[..., 0]).any()

_, clipped = moved(layers.RandomElasticTransform(1.0, 0.9, value_range=(0, 1), **same), pictures / 3)
print("classes of the mask with value_range=(0, 1):", np.unique(clipped))
assert np.unique(clipped).tolist() == [0, 1]
print("as described")
PYTHON
