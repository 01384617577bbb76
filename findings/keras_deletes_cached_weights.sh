#!/usr/bin/env bash
# keras 3.15.1, tensorflow-cpu 2.21.0, Python 3.11
#
# A request for weights deletes the user's file.
# Behaviour: keras.applications looks for `weights="imagenet"` in $KERAS_HOME/models. Where a file of the
# right name is there and its hash is not the expected one (another release of the weights, or a file
# that was copied incompletely), Keras downloads the weights again. Without a network the download
# fails, and the file that was there is gone: the folder is empty.
# Seen: "URL fetch failure", and no file left.
# Expected: the download goes to another name and replaces the file only when it is whole, so that a
# failed download loses nothing.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet keras==3.15.1 tensorflow-cpu==2.21.0
cd "$folder"
# A proxy that nobody serves stands for a computer without a network.
export KERAS_HOME="$folder/home" https_proxy=http://127.0.0.1:9 TF_CPP_MIN_LOG_LEVEL=3
"$folder/venv/bin/python" - <<'PYTHON'
import os
import sys

import keras

folder = os.path.join(os.environ["KERAS_HOME"], "models")
os.makedirs(folder, exist_ok=True)
name = os.path.join(folder, "efficientnetv2-b0_notop.h5")
shape = (64, 64, 3)
network = keras.applications.EfficientNetV2B0(include_top=False, weights=None, input_shape=shape)
network.save_weights(name.replace(".h5", ".weights.h5"))
os.rename(name.replace(".h5", ".weights.h5"), name)
try:
    keras.applications.EfficientNetV2B0(include_top=False, weights="imagenet", input_shape=shape)
except Exception as error:
    print(str(error)[:60])
print("files left:", os.listdir(folder))
sys.exit(0 if os.listdir(folder) == [] else 1)
PYTHON
