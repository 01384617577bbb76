#!/usr/bin/env bash
# keras 3.15.1, tensorflow-cpu 2.21.0, numpy 2.4.6, Python 3.11
#
# The grey with which pictures are filled becomes a class of their masks.
# Behaviour: given {"images", "segmentation_masks"}, RandomRotation with fill_mode="constant" and Resizing
# with pad_to_aspect_ratio=True write `fill_value` into the masks, too, where it is a class number. No
# argument gives masks a value of their own, such as that of the background or of what is ignored.
# Seen: masks of the classes 0 to 3, pictures filled with grey 114: the masks hold 114.
# Expected: background, or a fill value for masks beside that of pictures.
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
masks[0, 8:24, 8:56], masks[0, 32:40, 20:30], masks[0, 48:56, 40:60] = 1, 2, 3
pictures = np.repeat(masks * 60, 3, axis=-1)
for layer in (
    layers.RandomRotation((0.1, 0.1), fill_mode="constant", fill_value=114.0),
    layers.Resizing(64, 96, pad_to_aspect_ratio=True, fill_value=114.0),
):
    made = layer({"images": pictures, "segmentation_masks": masks}, training=True)
    found = np.unique(np.array(made["segmentation_masks"])).tolist()
    print(type(layer).__name__, "masks of the classes 0 to 3 hold", found)
    assert found == [0, 1, 2, 3, 114]
print("as described")
PYTHON
