#!/usr/bin/env bash
# keras 3.15.1, tensorflow-cpu 2.21.0, numpy 2.4.6, Python 3.11
#
# MixUp blends two pictures, and their masks with the first few values of the batch's first mask.
# Behaviour: of {"images", "segmentation_masks"}, a picture is mixed with another of the batch. Its mask is
# not: the second part of the mix is taken from the flattened masks of the batch, one value for each
# picture, and these values are spread over the last axis. So index masks (B, H, W, 1) come back with B
# channels, and one-hot masks lack the regions of the other picture; where classes and pictures are not
# equally many, one-hot masks are an error. CutMix pastes the right pixels, but gives index masks the three
# channels of the pictures.
# Seen: four pictures with a square in another corner each. Index masks (4, 16, 16, 1) become (4, 16, 16, 4),
# with CutMix (4, 16, 16, 3). Every square of a mixed-in picture is missing in the mixed one-hot masks.
# Expected: a mask that is mixed as its picture is, in the shape that was given.
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

BATCH = CLASSES = 4  # the background, and a class each for three of the four squares' values
masks = np.zeros((BATCH, 16, 16, 1), np.float32)
for index in range(BATCH):
    row, column = 2 + 8 * (index // 2), 2 + 8 * (index % 2)
    masks[index, row : row + 4, column : column + 4] = 1 + index % 3
pictures = np.repeat(np.sign(masks), 3, axis=-1)  # a white square each
one_hot = np.eye(CLASSES, dtype=np.float32)[masks[..., 0].astype(int)]


def mixed(layer, masks):
    data = {"images": pictures, "segmentation_masks": masks, "labels": np.eye(BATCH, dtype=np.float32)}
    made = layer(data, training=True)
    return np.array(made["images"])[..., 0], np.array(made["segmentation_masks"])


shapes = {kind.__name__: mixed(kind(seed=0), masks)[1].shape for kind in (layers.CutMix, layers.MixUp)}
print("index masks", masks.shape, "become", shapes)
assert shapes == {"CutMix": (4, 16, 16, 3), "MixUp": (4, 16, 16, 4)}

seen, made = mixed(layers.MixUp(alpha=1.0, seed=0), one_hot)
other = (seen > 0.05) & (masks[..., 0] == 0)  # squares that came from another picture
defects = made[..., 1:].sum(axis=-1)
nowhere = defects[(seen == 0)]
print(int(other.sum()), "pixels of other pictures' squares; defect in their masks at most", defects[other].max())
print("defect where no picture has a square:", nowhere.min(), "to", nowhere.max())
assert other.sum() >= 16 and np.isclose(defects[other].max(), nowhere.max())
try:
    mixed(layers.MixUp(seed=0), one_hot[..., :3])
except Exception as error:
    print("three classes:", type(error).__name__)
else:
    raise AssertionError("three classes were mixed")
print("as described")
PYTHON
