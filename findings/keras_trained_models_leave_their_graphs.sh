#!/usr/bin/env bash
# keras 3.15.1, tensorflow-cpu 2.21.0, numpy 2.4.6, Python 3.11
#
# A model that was trained and is gone leaves the graphs of its training in memory.
# Behaviour: fit and train_on_batch leave graphs and operations behind that neither the end of the model,
# nor keras.backend.clear_session(), nor the garbage collector frees. Their number is that of one training
# again for each further model. A model that only predicts or evaluates leaves none. So a process that trains
# one model after the other, such as a search over settings, grows for as long as it runs.
# Seen: for each model of 20 dense layers, 162 graphs and 4,812 operations more, and no model; for predict
# and evaluate none.
# Cause: a step's gradients pass ReplicaContext.all_reduce, also on one device. It is a tf.custom_gradient, whose gradient
# TensorFlow registers for good as CustomGradient-N for each traced step; what it encloses holds the step's graph. Without
# these entries, nothing is left.
# Expected: nothing is left once the model is gone, or after clear_session().
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
import gc

import keras
import numpy as np
import tensorflow as tf

DATA = np.ones((4, 8), np.float32)


def left_after(use):
    """Operations and models in memory after a model was made, used and dropped."""
    model = keras.Sequential([keras.Input((8,)), *(keras.layers.Dense(8) for _ in range(20))])
    model.compile("adam", "mse")
    use(model)
    del model
    gc.collect()
    keras.backend.clear_session()
    gc.collect()
    there = gc.get_objects()
    return [sum(isinstance(one, kind) for one in there) for kind in (tf.Operation, keras.Model)]


uses = {
    "predict": lambda model: model.predict(DATA, verbose=0),
    "evaluate": lambda model: model.evaluate(DATA, DATA, verbose=0),
    "fit": lambda model: model.fit(DATA, DATA, verbose=0),
}
for name, use in uses.items():
    found = [left_after(use) for _ in range(4)]
    operations, models = ([one[place] for one in found] for place in (0, 1))
    more = np.diff(operations)
    print(f"{name}: operations {operations}, models {models}")
    assert models == [0, 0, 0, 0]
    assert (more > 4000).all() and len(set(more)) == 1 if name == "fit" else not more.any()

from tensorflow.python.framework import ops

registered = ops.gradient_registry._registry
entries = [name for name in registered if name.startswith("CustomGradient-")]
enclosed = registered[entries[-1]]["type"].__closure__
tape = next(cell.cell_contents for cell in enclosed if callable(cell.cell_contents))
names = [getattr(cell.cell_contents, "__qualname__", "") for cell in tape.__closure__]
print("registered:", len(entries), [name for name in names if name])
assert any(name.startswith("ReplicaContextBase.all_reduce") for name in names)
del enclosed, tape
for name in entries:
    del registered[name]
gc.collect()
left = sum(isinstance(one, tf.Operation) for one in gc.get_objects())
print("operations without them:", left)
assert left == 0
print("as described")
PYTHON
