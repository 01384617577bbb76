"""Keras is imported without packages that it may lack, in a command and nowhere else."""

from __future__ import annotations

import subprocess
import sys

import pytest

AFTER_A_COMMAND = """
import sys
from flexunet_exp.system import imports, tensorflow
imports.for_a_command()
tensorflow.load()
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


def printed(program: str) -> list[str]:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.slow
def test_a_command_imports_keras_without_packages_that_it_does_not_use():
    assert printed(AFTER_A_COMMAND) == ["False", "False", "10"]


@pytest.mark.slow
def test_the_python_interface_leaves_keras_whole():
    assert printed(AFTER_THE_API) == ["True"]
