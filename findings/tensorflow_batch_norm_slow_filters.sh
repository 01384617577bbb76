#!/usr/bin/env bash
# tensorflow-cpu 2.21.0, numpy 2.4.6, Python 3.11
#
# Batch normalisation of 17 filters takes several times as long as that of 16.
# Behaviour: on a CPU, TensorFlow gives tf.nn.fused_batch_norm and its gradient to oneDNN. oneDNN has fast code for some numbers
# of filters alone: in float32 for multiples of 4. For others its reference code runs, which takes longer
# than the ten single operations of tf.nn.moments and tf.nn.batch_normalization together.
# Seen, four maps of 256 px, forwards and backwards, two cores: 16 filters 4.8 ms, 17 filters 26 ms, 17 filters by single
# operations 17 ms. (This program prints its own times, and checks that 17 filters take more than twice as long as 16.)
# Expected: a time that grows with the number of values, or a layout that is padded.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet tensorflow-cpu==2.21.0 numpy==2.4.6
cd "$folder"
export TF_ENABLE_ONEDNN_OPTS=1 TF_CPP_MIN_LOG_LEVEL=3
"$folder/venv/bin/python" - <<'PYTHON'
import time
from statistics import median

import numpy as np
import tensorflow as tf

draw = np.random.default_rng(0)


def fused(maps, scale, offset):
    return tf.compat.v1.nn.fused_batch_norm(maps, scale, offset, epsilon=1e-3)[0]


def single(maps, scale, offset):
    mean, variance = tf.nn.moments(maps, [0, 1, 2])
    return tf.nn.batch_normalization(maps, mean, variance, offset, scale, 1e-3)


def seconds(normalise, filters):
    shape = (4, 256, 256, filters)
    maps, slope = (tf.constant(draw.normal(size=shape).astype(np.float32)) for _ in range(2))
    weights = [tf.ones(filters), tf.zeros(filters)]

    @tf.function(autograph=False)
    def both(maps):
        with tf.GradientTape() as tape:
            tape.watch([maps, *weights])
            found = normalise(maps, *weights)
        return tape.gradient(found, [maps, *weights], slope)

    both(maps)
    times = []
    for _ in range(11):
        started = time.perf_counter()
        [one.numpy() for one in both(maps)]
        times.append(time.perf_counter() - started)
    return median(times)


even, odd, by_single = seconds(fused, 16), seconds(fused, 17), seconds(single, 17)
print(f"16 filters {1e3 * even:.1f} ms, 17 {1e3 * odd:.1f} ms, by single operations {1e3 * by_single:.1f} ms")
assert odd > 2 * even
print("as described")
PYTHON
