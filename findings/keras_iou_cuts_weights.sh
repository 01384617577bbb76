#!/usr/bin/env bash
# keras 3.15.1, tensorflow-cpu 2.21.0, numpy 2.4.6, Python 3.11
#
# Right predictions of half the weight have an IoU of 0.
# Behaviour: the metrics of intersection over union (MeanIoU, IoU, BinaryIoU, OneHotIoU ...) count in whole
# numbers, since their dtype is int where none is given, and cast the weights of pixels to it. A weight below 1
# becomes 0, one of 1.5 becomes 1. Given as a list, nothing is warned about; for an array a warning speaks of a
# weight that "may" be incorrect. dtype="float32" keeps the weights.
# Seen: the example of weights in MeanIoU's documentation gives 0.0, where the documentation states 0.238; right
# predictions with the weight 0.5 everywhere 0.0, with 1.0 everywhere 1.0.
# Expected: 0.238 and 1.0; what counts are the ratios of the weights.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet keras==3.15.1 tensorflow-cpu==2.21.0 numpy==2.4.6
export TF_CPP_MIN_LOG_LEVEL=3
venv/bin/python - <<'PYTHON'
import warnings

import keras
import numpy as np

TRUTH, PREDICTED, WEIGHTS = [0, 0, 1, 1], [0, 1, 0, 1], [0.3, 0.3, 0.3, 0.1]


def score(predicted, weights, **options):
    """The metric, and whether a warning was given."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        metric = keras.metrics.MeanIoU(num_classes=2, **options)
        metric.update_state(TRUTH, predicted, sample_weight=weights)
        return round(float(metric.result()), 3), any("weight" in str(one.message) for one in given)


documented = score(PREDICTED, WEIGHTS)
array = score(PREDICTED, np.array(WEIGHTS, np.float32))
floating = score(PREDICTED, WEIGHTS, dtype="float32")
print("the documentation's example (metric, warned):", documented, "array:", array, "float32:", floating)
right = {weight: score(TRUTH, [weight] * 4) for weight in (0.5, 1.0, 1.5)}
print("right predictions by their weight:", right)
uneven = score(PREDICTED, [1.5, 1, 1, 1])[0], score(PREDICTED, [1, 1, 1, 1])[0]
print("weights 1.5, 1, 1, 1 and four times 1:", uneven)
assert (documented, array, floating) == ((0.0, False), (0.0, True), (0.238, False))
assert right == {0.5: (0.0, False), 1.0: (1.0, False), 1.5: (1.0, False)}
assert uneven[0] == uneven[1]
print("as described")
PYTHON
