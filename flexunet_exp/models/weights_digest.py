"""A digest of the weights in a `.keras` file, read without Keras, whose import takes seconds."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

from flexunet_exp.errors import InputError

EXPECTED_FILE = "Expected a .keras file, such as best.keras of a run folder."


def weights_digest(path: Path) -> str:
    """Hash (16 hex digits) of the layers' names and of all weights, whatever else the file holds.

    Raises InputError where the file is missing, incomplete or no network's.
    """
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is missing, incomplete or not a Keras file. {EXPECTED_FILE}")
    try:
        with zipfile.ZipFile(path) as archive:
            layers = json.loads(archive.read("config.json"))["config"]["layers"]
            weights = archive.read("model.weights.h5")
        names = [layer["config"]["name"] for layer in layers]
        return hashlib.sha256(json.dumps([names, arrays_in(weights)]).encode()).hexdigest()[:16]
    except (KeyError, TypeError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path}: the weights cannot be read from it ({str(error)[:200]}). {EXPECTED_FILE}"
        ) from error


def arrays_in(weights: bytes) -> list[tuple[str, str, list[int], str]]:
    """Path, type, shape and hash of each array of an HDF5 file. Raises ValueError for one outside.

    The file may come from anyone, and HDF5 can refer to other files of this machine.
    """
    import h5py
    import numpy as np

    found = []

    def add(name: str, node: h5py.Group | h5py.Dataset) -> None:
        if not isinstance(node, h5py.Dataset):
            return
        if node.external or node.is_virtual:
            raise ValueError(f"{name} lies in another file")
        content = hashlib.sha256(np.ascontiguousarray(node[()]).tobytes()).hexdigest()
        found.append((name, str(node.dtype), list(node.shape), content))

    with h5py.File(io.BytesIO(weights), "r") as file:
        file.visititems(add)
    return sorted(found)
