"""An output folder that a command makes in one step: complete, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flexunet_exp.errors import InputError


def check_new(output: Path) -> None:
    """Raises InputError where the output is there already, and not a folder that can be replaced.

    That is an empty folder that is no mount point.
    """
    if os.path.ismount(output.resolve()):
        raise InputError(
            f"output={output}: is a mount point, such as a Docker volume, and a new folder cannot "
            f"take its place. Choose a folder in it: output={output}/labels"
        )
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise InputError(f"output={output}: is there already. Choose a new folder, or empty it")


@contextmanager
def staged_for(output: Path) -> Iterator[Path]:
    """A hidden folder that becomes the output, or is removed where an error is raised.

    Where the output is a link, it becomes the folder that the link names.
    """
    output = output.resolve()
    staged = output.with_name(f".{output.name}.writing")
    shutil.rmtree(staged, ignore_errors=True)
    try:
        yield staged
        if output.is_dir():
            output.rmdir()
        os.rename(staged, output)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
