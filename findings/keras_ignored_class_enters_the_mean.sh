#!/usr/bin/env bash
# keras 3.15.1, tensorflow-cpu 2.21.0, numpy 2.4.6, Python 3.11
#
# With the background ignored, one missed pixel takes a third of the mean IoU.
# Behaviour: MeanIoU(num_classes, ignore_class=0) leaves out the pixels whose truth is 0, but not the class. As
# soon as a pixel of a defect is predicted as background, class 0 has a union without an intersection, and its
# IoU of 0 enters the mean. With ignore_class=255 beside the classes, as in the documentation's words, it does not
# happen. Besides, pixels of the background that are predicted as defects are left out, so that false
# alarms cost nothing.
# Seen, a region of 400 pixels of class 1, one of 100 of class 2, 3 classes: all right 1.0; one pixel of class 1
# predicted as background 0.666; 560 pixels of false alarm 1.0. The mean of the classes 1 and 2 for the one
# missed pixel is 0.999.
# Expected: the mean over the classes that are not ignored, 0.999.
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
import keras
import numpy as np

truth = np.zeros((64, 64), np.int32)
truth[10:30, 10:30] = 1
truth[40:50, 40:50] = 2
missed, alarm = truth.copy(), truth.copy()
missed[10, 10] = 0
alarm[50:, :40] = 1


def score(metric, predicted):
    metric.update_state(truth, predicted)
    return float(metric.result())


predictions = {"all right": truth, "one pixel missed": missed, "false alarm": alarm}
found = {
    name: score(keras.metrics.MeanIoU(3, ignore_class=0), predicted) for name, predicted in predictions.items()
}
classes = score(keras.metrics.IoU(3, target_class_ids=[1, 2]), missed)
print("ignore_class=0:", {name: round(value, 4) for name, value in found.items()})
print("mean of the classes 1 and 2, one pixel missed:", round(classes, 4))
print("pixels of false alarm:", (alarm != truth).sum())
assert np.isclose(found["all right"], 1) and np.isclose(found["false alarm"], 1)
assert np.isclose(found["one pixel missed"], (399 / 400 + 1 + 0) / 3)
assert np.isclose(classes, (399 / 400 + 1) / 2)
print("as described")
PYTHON
