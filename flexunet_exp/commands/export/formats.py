"""The formats: how a network is written in each, and how the format's own runtime computes it.

In all of them the input is `image` (N, H, W, channels), uint8 or uint16 as in training, and the
output `logits`, float32 (N, H, W, C). N is open, and so are H and W if the network can be traced
without them.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flexunet_exp.data.tiles import Size
from flexunet_exp.errors import InputError
from flexunet_exp.system import tensorflow

if TYPE_CHECKING:
    import keras

INPUT, OUTPUT = "image", "logits"

Forward = Callable[[np.ndarray], np.ndarray]  # images (N, H, W, channels) → logits (N, H, W, C)


def open_saved_model(path: Path, threads: int) -> Forward:
    import tensorflow as tf

    model = tf.saved_model.load(str(path))  # kept here: its signatures do not keep its weights
    return lambda images: model.signatures["serving_default"](image=images)[OUTPUT].numpy()


def open_onnx(path: Path, threads: int) -> Forward:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that spin while they wait would slow down the network that is timed in turn with it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run([OUTPUT], {INPUT: images})[0]


def open_litert(path: Path, threads: int) -> Forward:
    from ai_edge_litert.interpreter import Interpreter

    infer = Interpreter(str(path), num_threads=threads).get_signature_runner()
    return lambda images: infer(image=images)[OUTPUT]


@dataclass(frozen=True)
class Format:
    """One format: its name in Keras, the file it writes, the packages it needs, its runtime."""

    keras_name: str
    file: str
    packages: tuple[str, ...]
    open: Callable[[Path, int], Forward]


FORMATS = {
    "saved_model": Format("tf_saved_model", "saved_model", (), open_saved_model),
    "onnx": Format("onnx", "model.onnx", ("onnx", "onnxruntime", "tf2onnx"), open_onnx),
    "litert": Format("litert", "model.tflite", ("ai-edge-litert",), open_litert),
}


def check_installed(name: str) -> None:
    """Raises InputError if a package that the format needs is missing."""
    packages = FORMATS[name].packages
    missing = [package for package in packages if find_spec(package.replace("-", "_")) is None]
    if missing:
        raise InputError(
            f"format={name} needs the packages {', '.join(packages)} (the extra `export`); "
            f"{', '.join(missing)} is missing. Try python -m pip install {' '.join(missing)}"
        )


def write(network: keras.Model, name: str, folder: Path, size: Size) -> tuple[Path, Size | None]:
    """Writes a float32 network into the folder; returns the file and the size it is bound to.

    The size is None, for any size, unless the network can only be written for pictures of one
    `size` (height, width). Raises InputError if it cannot be written at all.
    """
    path = folder / FORMATS[name].file
    reasons = []
    for sides in (None, size):
        try:
            with quiet():
                write_sides(network, FORMATS[name].keras_name, path, sides or (None, None))
            return path, sides
        except OSError:
            raise
        except Exception as error:  # each converter raises its own types
            reasons.append(brief(error))
    raise InputError(
        f"The network cannot be written with format={name} ({reasons[-1]}). Try another format=: "
        f"{', '.join(FORMATS)}."
    )


def write_sides(
    network: keras.Model, keras_name: str, path: Path, sides: tuple[int | None, int | None]
) -> None:
    import keras

    pixels = network.inputs[0]
    image = keras.Input((*sides, pixels.shape[-1]), dtype=pixels.dtype, name=INPUT)
    (logits,) = keras.tree.flatten(network(image))  # a loaded network gives a list
    named = keras.Model(image, {OUTPUT: logits})
    named.export(str(path), keras_name, verbose=False, input_signature=[image])


def opened(path: Path, name: str, threads: int, example: np.ndarray) -> Forward:
    """The exported file in its own runtime, warmed up with an example (1, H, W, channels).

    Raises InputError if the runtime cannot compute it.
    """
    try:
        with quiet():
            forward = FORMATS[name].open(path, threads)
            forward(example)
    except Exception as error:  # each runtime raises its own types
        raise InputError(
            f"The runtime of format={name} fails ({brief(error)}). Try another format=: "
            f"{', '.join(FORMATS)}."
        ) from error
    return forward


@contextmanager
def quiet() -> Iterator[None]:
    """Suppresses the notices and warnings of converters and runtimes."""
    logging.disable(logging.WARNING)
    try:
        with tensorflow.quiet_start(), warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(logging.NOTSET)


def brief(error: Exception) -> str:
    """The error's first line."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
