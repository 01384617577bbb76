"""Pages that open from disk and need no other file: templates and embedded pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import jinja2
import numpy as np
from PIL import Image

from flexunet_exp.config import compose
from flexunet_exp.reporting import panels


def template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(compose.PACKAGE / "reporting" / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def jpeg(picture: Image.Image) -> str:
    """A picture as a data address."""
    content = io.BytesIO()
    picture.save(content, format="JPEG", quality=88)
    return address("jpeg", content.getvalue())


def address(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def legend(class_names: Sequence[str], palette: np.ndarray) -> list[tuple[str, str]]:
    """Name and colour, as CSS has it, of each defect class as pictures show it."""
    colours = panels.displayed(palette).tolist()
    pairs = list(zip(class_names, colours, strict=True))[1:]
    return [(name, f"rgb({red}, {green}, {blue})") for name, (red, green, blue) in pairs]
