"""Every architecture trains the same weights twice under trainer.deterministic=true."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import flexunet_exp
from tests.models.test_family import LIGHT
from tests.support import running

PROGRAM = str(running.SUPPORT / "deterministic_steps.py")
WITH_OWN_LAYERS = ("deeplabv3plus", "segformer", "swin_unet", "transunet")
OTHERS = [name for name in LIGHT if name not in WITH_OWN_LAYERS]


def trained_twice(folder: Path, *names: str) -> dict[str, list[str]]:
    """Of each network, whether both trainings gave equal bits, and its own layers."""
    done = running.ended(running.Command(folder, PROGRAM, *names))
    assert done.returncode == 0, done.stdout
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith(names)]
    return {name: rest for name, *rest in lines}


def layers_of_the_package() -> set[str]:
    """The classes of `models` that are layers, from their source."""
    folder = Path(flexunet_exp.__file__).parent / "models"
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and "layers.Layer" in map(ast.unparse, node.bases):
                found.add(node.name)
    return found


@pytest.mark.heavy
def test_every_layer_of_our_own_trains_the_same_bits_twice(tmp_path):
    found = trained_twice(tmp_path, *WITH_OWN_LAYERS)
    assert {name: rest[0] for name, rest in found.items()} == dict.fromkeys(
        WITH_OWN_LAYERS, "equal"
    )
    seen = {layer for _, *layers in found.values() for layer in layers}
    assert len(layers_of_the_package()) >= 6
    assert layers_of_the_package() <= seen


@pytest.mark.heavy
def test_the_other_architectures_do_too(tmp_path):
    found = trained_twice(tmp_path, *OTHERS)
    assert {name: rest[0] for name, rest in found.items()} == dict.fromkeys(OTHERS, "equal")
