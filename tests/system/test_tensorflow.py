"""TensorFlow's notices are hidden, and a process of several runs keeps nothing of earlier ones."""

from __future__ import annotations

import subprocess
import sys

import pytest

MODULES = (
    *("api.run", "commands.evaluate", "commands.export.proof", "commands.infer.command"),
    *("commands.infer.pipeline", "commands.promote.command", "evaluation.scoring"),
    *("prediction.networks", "tracking.serving"),
)
IMPORTS = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(f"flexunet_exp.{name}")
    print(name, "keras" in sys.modules or "tensorflow" in sys.modules)
"""


@pytest.mark.slow
def test_what_predicts_imports_keras_only_when_it_is_used():
    command = [sys.executable, "-c", IMPORTS, *MODULES]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [word for name in MODULES for word in (name, "False")]


TRAININGS = """
import gc
import keras, numpy, tensorflow as tf
from flexunet_exp.system import tensorflow

def training():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    model.fit(*[numpy.ones((4, 2))] * 2, verbose=0)

@tf.function
def own(x):
    return tf.nn.silu(x)

own(tf.constant(1.0))  # differentiated later
for number in range(4):
    gc.collect()
    print(sum(isinstance(one, tf.Operation) for one in gc.get_objects()))
    with tensorflow.forgetting_gradients():
        training()
    keras.backend.clear_session()
with tf.GradientTape() as tape:
    tape.watch(x := tf.constant(1.0))
    found = own(x)
assert tape.gradient(found, x) > 0
"""


@pytest.mark.heavy
@pytest.mark.slow
def test_a_run_leaves_no_graphs_and_spares_those_of_others():
    command = [sys.executable, "-c", TRAININGS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, *later = map(int, done.stdout.split())
    assert later == [first] * 3
