"""The precision of a network of which only its file is known."""

from __future__ import annotations

import keras
import pytest

from flexunet_exp.errors import InputError
from flexunet_exp.models.flexunet import flexunet
from flexunet_exp.prediction import networks
from flexunet_exp.prediction.networks import Blueprint

LONELY = Blueprint(None, (32, 32), "float32")  # as a command assumes


def trained_in(precision: str) -> keras.Model:
    keras.config.set_dtype_policy(precision)
    try:
        return flexunet((32, 32, 3), 2, base_filters=2, base_kernel=3, num_layers=3)
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_a_file_computes_in_the_precision_it_was_trained_in(precision):
    network = trained_in(precision)
    for asked in ("as_trained", precision):
        assert networks.in_precision(network, LONELY, asked) is network


@pytest.mark.parametrize(
    ("trained", "asked", "found"),
    [
        ("mixed_bfloat16", "float32", "bfloat16"),
        ("mixed_bfloat16", "mixed_float16", "bfloat16"),
        ("float32", "mixed_bfloat16", "float32"),
    ],
)
def test_a_file_in_another_precision_is_refused(trained, asked, found):
    said = f"predict.precision={asked} .* computes in {found}.*Name the run"
    with pytest.raises(InputError, match=said):
        networks.in_precision(trained_in(trained), LONELY, asked)
