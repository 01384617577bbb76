"""A registered model as a server runs it: pictures in, class masks and defect regions out.

The names of this module and of `Segmenter`, and the use of the artifact `run`, are a promise: every
registered version carries a copy of `served_model.py`, which imports them from the package that is
installed where the version is loaded.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_type_hints

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array, Object, Property
from omegaconf import OmegaConf
from PIL import Image

from flexunet_exp.data import masks, tiff_files
from flexunet_exp.data.bit_depth import Bits
from flexunet_exp.data.channels import RGB, Channels
from flexunet_exp.errors import InputError
from flexunet_exp.prediction import predictor, regions
from flexunet_exp.runs.folder import load

MAX_PIXELS = 100_000_000  # of a picture: a few bytes of PNG can unpack to any amount of memory
EXPECTED = (
    "Expected in the column `image` the content of a picture's file (PNG, JPEG, TIFF, BMP, …), in "
    'JSON as base64: {"dataframe_records": [{"image": "iVBORw0K…"}]}'
)
KINDS = {str: DataType.string, int: DataType.long, float: DataType.double}


class Refused(MlflowException):
    """The refusal of a request, with one sentence for the client: HTTP status 400."""

    def __init__(self, sentence: str):
        super().__init__(sentence, error_code=INVALID_PARAMETER_VALUE)
        self.sentence = sentence

    def serialize_as_json(self) -> str:
        """The body of the answer; without the request, which MLflow puts in front of `message`."""
        return json.dumps({"error_code": self.error_code, "message": self.sentence})


class Segmenter(PythonModel):
    """The best network of the run that lies in the artifact `run`, predicting as it was scored."""

    def load_context(self, context: Any) -> None:
        """Loads the network and predicts once, so that no request waits for tracing."""
        from flexunet_exp.prediction import networks  # imports Keras

        run = load(Path(context.artifacts["run"]))
        networks.prepare_process(run)
        self.trained = networks.load([run], OmegaConf.create())
        self.turn = threading.Lock()
        blank = np.zeros((64, 64, self.trained.channels.number), np.uint8)
        self.answer(blank, *regions_wanted({}))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """An answer for each row of `model_input`, whose column is `image`.

        Raises Refused naming the first picture that cannot be read.
        """
        wanted = regions_wanted(params or {})
        rows = model_input["image"].tolist()
        if not rows:
            raise Refused(f"There is no picture in the request. {EXPECTED}")
        answers = []
        for number, row in enumerate(rows, start=1):
            # One picture at a time for all clients: one keeps all cores busy, and several at once
            # would need more memory without being faster.
            with self.turn:
                name = f"Picture {number} of {len(rows)}"
                image = picture(row, name, self.trained.bit_depth, self.trained.channels)
                answers.append(self.answer(image, *wanted))
        return answers

    def answer(self, image: np.ndarray, min_area: int, min_probability: float) -> dict[str, Any]:
        """The mask of an image (H, W, N) and its regions, without the small and unsure ones."""
        height, width = image.shape[:2]
        names, palette = self.trained.class_names, self.trained.palette
        bands = next(self.trained.predictor([image]))
        prediction = predictor.collect(bands, (height, width))
        mask, found = regions.find(
            prediction.mask, prediction.certainty, names, min_area, min_probability
        )
        return {
            "mask": base64.b64encode(palette_png(mask, palette)).decode("ascii"),
            "width": width,
            "height": height,
            "class_names": list(names),
            "colors": palette.tolist(),
            "regions": [region._asdict() for region in found],
        }


def signature() -> ModelSignature:
    """The inputs, outputs and parameters of `Segmenter`."""
    fields = get_type_hints(regions.Region)
    region = Object([Property(name, KINDS[kind]) for name, kind in fields.items()])
    answer: dict[str, Any] = {
        "mask": DataType.string,
        "width": DataType.long,
        "height": DataType.long,
        "class_names": Array(DataType.string),
        "colors": Array(Array(DataType.long)),
        "regions": Array(region),
    }
    smallest = ParamSpec("min_area", DataType.long, 1)
    least_sure = ParamSpec("min_probability", DataType.double, 0.0)
    return ModelSignature(
        Schema([ColSpec(DataType.binary, "image")]),
        Schema([ColSpec(kind, name) for name, kind in answer.items()]),
        ParamSchema([smallest, least_sure]),
    )


def regions_wanted(params: dict[str, Any]) -> tuple[int, float]:
    min_area, min_probability = params.get("min_area", 1), params.get("min_probability", 0.0)
    if not min_area >= 0:
        raise Refused(f"min_area={min_area}: expected a number of pixels, 0 or more.")
    if not 0 <= min_probability <= 1:
        raise Refused(f"min_probability={min_probability}: expected a number from 0 to 1.")
    return min_area, min_probability


def picture(value: Any, name: str, bits: Bits = 16, channels: Channels = RGB) -> np.ndarray:
    """The image (H, W, N) in a row of the request; Refused where it is not a picture."""
    try:
        data = file_content(value)
        check_size(data)
        return masks.decode_image(data, name, bits, channels)
    except (InputError, ValueError) as error:
        reason = str(error).removeprefix(f"{name}: ")
        raise Refused(f"{name}: {reason} {EXPECTED}") from error


def file_content(value: Any) -> bytes:
    """The picture's file; decodes base64, as MLflow does in `dataframe_…` but not in `inputs`."""
    data = value.encode() if isinstance(value, str) else value
    if not isinstance(data, bytes | bytearray):
        raise ValueError(f"found {value!r:.40}.")
    if not data:
        raise ValueError("it is empty.")
    try:
        return base64.b64decode(data.translate(None, b"\r\n"), validate=True)
    except binascii.Error:  # a picture's content is not base64
        return bytes(data)


def check_size(data: bytes) -> None:
    """Raises ValueError for a picture too large to unpack; reads its header alone."""
    limit = f"a picture may have at most {MAX_PIXELS:,} pixels."
    try:
        height, width = stored_size(data)
    except Image.DecompressionBombError as error:
        raise ValueError(f"too large, {limit}") from error
    except Exception as error:  # the readers of the formats raise errors of many types
        raise ValueError("no readable image.") from error
    if width * height > MAX_PIXELS:
        raise ValueError(f"too large, {width} x {height}; {limit}")


def stored_size(data: bytes) -> tuple[int, int]:
    """(height, width) as stored; Pillow does not open TIFF files of many channels."""
    if tiff_files.is_tiff(data):
        return tiff_files.size(data, "")
    with Image.open(io.BytesIO(data)) as opened:
        return opened.size[::-1]


def palette_png(mask: np.ndarray, palette: np.ndarray) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mask.png"
        masks.write_palette_mask(path, mask, palette)
        return path.read_bytes()
