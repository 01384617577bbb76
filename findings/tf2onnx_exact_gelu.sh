#!/usr/bin/env bash
# tf2onnx 1.17.0, tensorflow 2.21.0, keras 3.15.1, onnx 1.23.0, onnxruntime 1.32.0, Python 3.11
#
# The GELU of Keras becomes an ONNX file that no runtime opens, and the conversion does not fail.
# Behaviour: keras.activations.gelu (approximate=False, the default) is one TensorFlow operation,
# Erfc, when a graph is traced. tf2onnx does not know it, logs an error, copies the node into the
# file under its TensorFlow name, and returns. 0.5 x (1 + erf(x / sqrt(2))) written out converts.
# Seen: from_keras returns; onnxruntime refuses the file: "No Op registered for Erfc".
# Expected: an exception of the conversion, or Erf, which ONNX has.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet tf2onnx==1.17.0 tensorflow==2.21.0 keras==3.15.1 onnx==1.23.0 onnxruntime==1.32.0
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES= "$folder/venv/bin/python" - <<'PYTHON'
import math
import sys

import keras
import onnxruntime
import tensorflow as tf
import tf2onnx
from keras import ops


def opens(activation):
    """Whether onnxruntime opens the file of a network with this activation."""
    image = keras.Input((4,))
    network = keras.Model(image, keras.layers.Dense(3, activation=activation)(image))
    traced = tf.function(lambda x: network(x), input_signature=[tf.TensorSpec((1, 4), tf.float32)])
    tf2onnx.convert.from_function(
        traced, input_signature=traced.input_signature, opset=15, output_path="network.onnx"
    )
    try:
        onnxruntime.InferenceSession("network.onnx", providers=["CPUExecutionProvider"])
    except Exception as error:
        print(type(error).__name__, "Erfc" in str(error))
        return False
    return True


own, written_out = opens("gelu"), opens(lambda x: 0.5 * x * (1 + ops.erf(x / math.sqrt(2))))
print(f"opens: keras gelu {own}, written out {written_out}")
sys.exit(0 if not own and written_out else 1)
PYTHON
