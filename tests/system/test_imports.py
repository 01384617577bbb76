"""What shortens TensorFlow's import: libraries loaded ahead, and packages that Keras may lack."""

from __future__ import annotations

import subprocess
import sys

import pytest

AFTER_A_COMMAND = """
import sys
from flexunet_exp.system import imports, tensorflow
imports.for_a_command()
thread = imports.load_ahead()
tensorflow.load()
assert thread is None or not thread.is_alive()
print("sklearn" in sys.modules, "matplotlib.pyplot" in sys.modules)
import sklearn, matplotlib.pyplot
import tensorflow as tf
print(int(tf.reduce_sum(tf.range(5))))
"""
AFTER_THE_API = """
from flexunet_exp.system import tensorflow
tensorflow.load()
import keras
print(any(one.__module__.startswith("sklearn") for one in keras.wrappers.SKLearnClassifier.mro()))
"""
LIBRARIES = """
import sys
from flexunet_exp.system import imports
thread = imports.load_ahead()
assert imports.has_gpu() or thread is not None
imports.wait_for_libraries()
print("libtensorflow_cc" in open("/proc/self/maps").read() or imports.has_gpu())
print("tensorflow" in sys.modules)
"""


def printed(program: str) -> list[str]:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.slow
def test_a_command_imports_keras_without_packages_that_it_does_not_use():
    assert printed(AFTER_A_COMMAND) == ["False", "False", "10"]


@pytest.mark.slow
def test_the_python_interface_leaves_keras_whole():
    assert printed(AFTER_THE_API) == ["True"]


@pytest.mark.skipif(sys.platform != "linux", reason="the libraries have other names there")
def test_the_libraries_are_loaded_without_an_import():
    assert printed(LIBRARIES) == ["True", "False"]
