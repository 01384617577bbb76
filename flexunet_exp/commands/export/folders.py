"""The folder of an export: written in one step, and never over anything but an export."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from flexunet_exp.commands.export.formats import FORMATS
from flexunet_exp.errors import InputError
from flexunet_exp.runs import outcome
from flexunet_exp.runs.folder import FinishedRun

CLASSES, PARITY, PICTURES = "classes.json", "parity.json", "parity.csv"
DECISION = "decision.json"
FILES = {CLASSES, PARITY, PICTURES, DECISION, *(form.file for form in FORMATS.values())}


def destination(output: str | None, run: FinishedRun, form: str) -> Path:
    """The folder that `output` names; if it is null, a folder below exports/ named by the run."""
    if output:
        path = Path(output).expanduser().absolute()
        if not path.name:
            raise InputError(f"output={output} is the root folder. Try output=exports/grid")
        return path
    is_named = (run.folder / outcome.RESULT).is_file()
    name = outcome.read_outcome(run.folder).name if is_named else run.cfg.dataset.name
    return Path("exports", f"{re.sub(r'[^A-Za-z0-9-]+', '_', name)}_{form}").absolute()


def unproven(output: Path) -> Path:
    """The folder of an export whose file does not compute the same as the network."""
    return output.with_name(f"{output.name}_unproven")


def check_free(folder: Path, overwrite: bool) -> None:
    """Raises InputError if `folder` is a file, holds other files, or an export not to overwrite."""
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise InputError(f"{folder} is a file. Choose another output=FOLDER.")
    found = {path.name for path in folder.iterdir()}
    if found and not found <= FILES:
        raise InputError(
            f"{folder} holds files that are not of an export ({sorted(found - FILES)[0]}), so "
            "nothing was written. Choose another output=FOLDER."
        )
    if found and not overwrite:
        raise InputError(
            f"{folder} holds an export already. Nothing was changed in it; add overwrite=true to "
            "replace it, or choose another output=FOLDER."
        )


@contextmanager
def begun(output: Path) -> Iterator[Path]:
    """An empty working folder beside `output`, which is removed at the end."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent, prefix=".export-") as scratch:
        part = Path(scratch) / "export"
        part.mkdir()
        yield part


def finish(part: Path, folder: Path, overwrite: bool) -> None:
    """Renames the working folder to `folder`; an export there is removed with the former."""
    check_free(folder, overwrite)
    replaced = part.with_name("replaced")
    if os.path.lexists(folder):
        os.replace(folder, replaced)
    try:
        os.replace(part, folder)
    except OSError:
        if replaced.exists():
            os.replace(replaced, folder)
        raise
