"""Networks in `.keras` files: saved whole and without optimizer state, read in safe mode."""

from __future__ import annotations

import importlib
import json
import pkgutil
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flexunet_exp.config import building
from flexunet_exp.errors import InputError
from flexunet_exp.models.weights_digest import EXPECTED_FILE
from flexunet_exp.system.files import rewritten, whole_or_nothing

if TYPE_CHECKING:
    import keras  # at run time within the functions, once its notices are hidden


PACKAGE, FOLDER = __name__.partition(".")[0], str(Path(__file__).parent)


def save_model(model: keras.Model, path: Path) -> None:
    """Saves a functional model without optimizer state; replaces the file in one step."""
    with whole_or_nothing(path) as part:
        without_optimizer(model).save(part)


def save_again(model: keras.Model, path: Path, spare: Path) -> None:
    """Saves as `save_model` over the bytes of a spare file; the former file is the next spare."""
    # The public function opens the file itself, and so throws its pages away.
    from keras.src.saving import saving_lib

    with rewritten(path, spare) as file:
        saving_lib.save_model(without_optimizer(model), file)


def without_optimizer(model: keras.Model) -> keras.Model:
    """A model of the same layers that was never compiled, so it has no optimizer to save."""
    import keras

    return keras.Model(model.inputs, model.outputs, name=model.name)


def read_network(path: Path) -> keras.Model:
    """The network of a `.keras` file, read in Keras's safe mode: the file cannot run code.

    Raises InputError where the file is missing, incomplete or not readable as a network.
    """
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is missing, incomplete or not a Keras file. {EXPECTED_FILE}")
    import keras

    import_layers(path)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # zipfile, h5py, json and Keras raise different types
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: Keras cannot read a network from it ({reason}). {EXPECTED_FILE}"
        ) from error


def import_layers(path: Path) -> None:
    """Imports what the layers of a `.keras` file may need: this program's, and trusted modules.

    Keras (3.15) imports no module but its own: in a process that has not built the network, its
    other layers and functions are not known.
    """
    with suppress(OSError, ValueError, KeyError, zipfile.BadZipFile), zipfile.ZipFile(path) as file:
        text = file.read("config.json").decode()
        named = {name for name in modules_in(json.loads(text)) if building.is_trusted(f"{name}.")}
        if f"{PACKAGE}>" in text:  # a registered function does not name its module
            named |= {f"{__package__}.{one.name}" for one in pkgutil.iter_modules([FOLDER])}
        for name in sorted(named):
            with suppress(ImportError):  # Keras then says which layer it does not know
                importlib.import_module(name)


def modules_in(config: Any) -> Iterator[str]:
    """The modules that a network's configuration names."""
    if isinstance(config, dict):
        if isinstance(module := config.get("module"), str):
            yield module
        config = list(config.values())
    if isinstance(config, list):
        for each in config:
            yield from modules_in(each)
