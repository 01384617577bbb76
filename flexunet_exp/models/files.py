"""Networks in `.keras` files: saved whole and without optimizer state, read in safe mode."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import keras

from flexunet_exp.errors import InputError
from flexunet_exp.system.files import whole_or_nothing

if TYPE_CHECKING:
    import keras


def save_model(model: keras.Model, path: Path) -> None:
    """Saves a functional model without optimizer state, whole or not at all."""
    with whole_or_nothing(path) as part:
        without_optimizer(model).save(part)


def without_optimizer(model: keras.Model) -> keras.Model:
    """A model around the same layers that was never compiled: it has no optimizer to save."""
    return keras.Model(model.inputs, model.outputs, name=model.name)


EXPECTED_FILE = "Expected a .keras file, such as best.keras of a run folder."


def read_network(path: Path) -> keras.Model:
    """A `.keras` file's network; what is inside runs no code of its own (Keras's safe mode)."""
    import keras

    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is missing, cut off or no Keras file. {EXPECTED_FILE}")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # zipfile, h5py, json and Keras each raise kinds of their own
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: no Keras network that can be read ({reason}). {EXPECTED_FILE}"
        ) from error
