"""TensorFlow's notices are hidden: no command imports Keras before that is set up."""

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
