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
from flexunet_exp.system import tensorflow
from flexunet_exp.system.tensorflow import ProcessSettings

for number in range(4):
    tensorflow.prepare(ProcessSettings(1, False, "float32", number, "auto"))
    import keras, numpy, tensorflow as tf
    gc.collect()
    print(sum(isinstance(one, tf.Operation) for one in gc.get_objects()))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    model.fit(*[numpy.ones((4, 2))] * 2, verbose=0)
    del model
"""


@pytest.mark.slow
def test_the_next_run_of_a_process_drops_the_graphs_of_the_last():
    command = [sys.executable, "-c", TRAININGS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, *later = map(int, done.stdout.split())
    assert later == [first] * 3
