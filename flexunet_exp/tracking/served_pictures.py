"""The pictures in a request to a registered model; refuses what is none."""

from __future__ import annotations

import base64
import binascii
import io
import json
from typing import Any

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from PIL import Image

from flexunet_exp.data import masks, tiff_files
from flexunet_exp.data.bit_depth import Bits
from flexunet_exp.data.channels import RGB, Channels
from flexunet_exp.errors import InputError

MAX_PIXELS = 100_000_000  # of a picture: a few bytes of PNG can unpack to any amount of memory
EXPECTED = (
    "Expected in the column `image` the content of a picture's file (PNG, JPEG, TIFF, BMP, …), in "
    'JSON as base64: {"dataframe_records": [{"image": "iVBORw0K…"}]}'
)


class Refused(MlflowException):
    """The refusal of a request, with one sentence for the client: HTTP status 400."""

    def __init__(self, sentence: str):
        super().__init__(sentence, error_code=INVALID_PARAMETER_VALUE)
        self.sentence = sentence

    def serialize_as_json(self) -> str:
        """The body of the answer; without the request, which MLflow puts in front of `message`."""
        return json.dumps({"error_code": self.error_code, "message": self.sentence})


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
