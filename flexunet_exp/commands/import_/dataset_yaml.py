"""conf/dataset/NAME.yaml of an imported set, so that it trains by its name."""

from __future__ import annotations

import json
from pathlib import Path

from flexunet_exp.commands.import_.summary import record_of
from flexunet_exp.config import own_conf
from flexunet_exp.data.sets.staging import MANIFEST


def file_of(name: str) -> Path:
    return Path("dataset") / f"{name}.yaml"


def check(name: str, output: Path) -> None:
    """Raises InputError where the name is taken by another data set, before anything is made."""
    path = own_conf.place() / file_of(name)
    if not (path.is_file() and path.read_text().startswith(heading(output))):
        own_conf.check_new(file_of(name), "name=ANOTHER")


def write(name: str, output: Path) -> Path:
    """Writes the file, or that of the same set anew."""
    check(name, output)
    return own_conf.write_new(file_of(name), text_of(name, output), overwrite=True)


def heading(output: Path) -> str:
    return f"# Made by flexunet import of {output}\n"


def text_of(name: str, output: Path) -> str:
    classes = "\n".join(
        f"  - {{name: {json.dumps(one['name'])}, color: {one['color']}}}"
        for one in record_of(output)["classes"]
    )
    return f"""{heading(output)}defaults:
  - layout: image_mask
  - _self_

name: {name}
path: {json.dumps(str(output))}
layout: {{sources: {MANIFEST}}}
classes:
{classes}
"""
