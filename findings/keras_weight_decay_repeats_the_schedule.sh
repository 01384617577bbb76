#!/usr/bin/env bash
# keras 3.15.1, tensorflow-cpu 2.21.0, Python 3.11
#
# Weight decay computes the learning-rate schedule twice for every variable.
# Behaviour: an optimizer with a LearningRateSchedule computes the rate twice in a step, whatever the
# number of variables is. With weight_decay it computes it two times more for each variable that
# decays, although the rate is the same for all of them. In a graph these copies are traced one by
# one, which makes the first training step start later.
# Seen: calls of the schedule while a step is traced, for 2, 8 and 32 variables: 2, 2, 2 with Adam;
# 6, 18, 66 with AdamW.
# Expected: as many calls with weight decay as without, or one more.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet keras==3.15.1 tensorflow-cpu==2.21.0
cd "$folder"
export TF_CPP_MIN_LOG_LEVEL=3
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import keras
import numpy as np

calls = 0


class Half(keras.optimizers.schedules.LearningRateSchedule):
    """A constant rate that counts how often it is asked for."""

    def __call__(self, step):
        global calls
        calls += 1
        return keras.ops.cast(0.5, "float32")


def calls_in_a_step(layers, optimizer):
    global calls
    calls = 0
    network = keras.Sequential([keras.Input((8,)), *(keras.layers.Dense(8) for _ in range(layers))])
    network.compile(optimizer, "mse")
    network.train_on_batch(np.ones((4, 8)), np.ones((4, 8)))
    return calls


plain = [calls_in_a_step(layers, keras.optimizers.Adam(Half())) for layers in (1, 4, 16)]
decayed = [calls_in_a_step(layers, keras.optimizers.AdamW(Half(), weight_decay=0.01)) for layers in (1, 4, 16)]
print("variables 2, 8, 32; Adam:", plain, "AdamW:", decayed)
sys.exit(0 if plain == [2, 2, 2] and decayed == [6, 18, 66] else 1)
PYTHON
