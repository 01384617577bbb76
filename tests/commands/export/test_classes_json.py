"""classes.json says what a program must do with a picture before the network gets it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from flexunet_exp.commands.export import report
from flexunet_exp.data import bit_depth


def input_of(compose, dtype: str, *words: str) -> dict:
    cfg = compose("train", "dataset=grid", *words)
    return report.usage(SimpleNamespace(cfg=cfg), "onnx", None, dtype)["input"]


@pytest.mark.parametrize(
    ("model", "step"),
    [
        ("flexunet", 128),
        ("attention_unet", 16),
        ("unet", 32),
        ("deeplabv3plus", 32),
        ("swin_unet", 32),
        ("segformer", 32),
        ("u2net", 32),
        ("u2netp", 32),
        ("transunet", 16),
        ("unet3plus", 16),
    ],
)
def test_the_sides_are_multiples_of_what_the_model_says(compose, model, step):
    assert input_of(compose, "uint8", f"model={model}")["sides_divide_by"] == step


def test_nothing_is_said_of_the_sides_that_is_not_known(compose):
    said = input_of(compose, "uint8", "~model.num_layers", "model._target_=my_nets.wide")
    assert said["sides_divide_by"] is None


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_values_of_fewer_bits_are_spread_as_training_does(compose, bits):
    said = input_of(compose, "uint16", f"dataset.bit_depth={bits}")
    rule, of_bytes = said["scaling"].split("; ")
    largest = 2**bits - 1
    assert said["bit_depth"] == bits
    assert rule == f"values v of 0 to {largest} as round(v * 65535 / {largest})"
    assert of_bytes == "of 8-bit pictures, v * 257"
    table = bit_depth.table(bits)
    assert all(table[v] == round(v * 65535 / largest) for v in range(0, largest + 1, 7))


@pytest.mark.parametrize(
    ("bits", "dtype", "said"), [("auto", "uint8", (8, 255)), (16, "uint16", (16, 65535))]
)
def test_values_of_all_bits_are_taken_as_they_are(compose, bits, dtype, said):
    found = input_of(compose, dtype, f"dataset.bit_depth={bits}")
    assert found["bit_depth"] == said[0]
    assert found["scaling"].startswith(f"none: raw pixels, 0 to {said[1]}")
