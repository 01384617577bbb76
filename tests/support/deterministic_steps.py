"""`python deterministic_steps.py NAME…`: trains tiny networks of tests/models/test_family.py twice.

Each is trained for three steps as `trainer.deterministic=true` does, and begun again from the same
seed. Prints a line a network: its name, `equal` or `different`, and the classes of its own layers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from flexunet_exp.losses import CrossEntropyDice
from flexunet_exp.system import tensorflow
from flexunet_exp.system.tensorflow import ProcessSettings

SETTINGS = ProcessSettings(None, True, "float32", 0, "auto")
STEPS = 3


def main() -> None:
    for name in sys.argv[1:]:
        (first, own), (second, _) = trained(name), trained(name)
        is_equal = all(map(np.array_equal, first, second))
        print(name, "equal" if is_equal else "different", *sorted(own))


def trained(name: str) -> tuple[list[np.ndarray], set[str]]:
    """The weights after the steps, and the classes of the layers that this package defines."""
    tensorflow.prepare(SETTINGS)
    import keras

    from tests.models.test_family import TINY, images, made

    model = made(name, **TINY[name])
    model.compile(keras.optimizers.Adam(1e-2), CrossEntropyDice(), jit_compile=False)
    masks = (images(4)[..., 0] // 86).astype(np.uint8)
    before = model.get_weights()
    for _ in range(STEPS):
        model.train_on_batch(images(4), masks)
    after = model.get_weights()
    assert not all(map(np.array_equal, before, after))
    return after, {type(layer).__name__ for layer in own_layers(model)}


def own_layers(model) -> Iterator:
    for layer in model._flatten_layers():
        if type(layer).__module__.startswith("flexunet_exp."):
            yield layer


if __name__ == "__main__":
    main()
