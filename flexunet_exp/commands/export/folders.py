"""The folder of an export: there whole or not at all, and never in the place of anything else."""

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
FILES = {CLASSES, PARITY, PICTURES, *(form.file for form in FORMATS.values())}


def destination(output: str | None, run: FinishedRun, form: str) -> Path:
    """The folder that `output` names; where it is null, one below exports/ called by the run."""
    if output:
        path = Path(output).expanduser().absolute()
        if not path.name:
            raise InputError(f"output={output} is no folder of its own. Try output=exports/grid")
        return path
    is_named = (run.folder / outcome.RESULT).is_file()
    name = outcome.read_outcome(run.folder).name if is_named else run.cfg.dataset.name
    return Path("exports", f"{re.sub(r'[^A-Za-z0-9-]+', '_', name)}_{form}").absolute()


def unproven(output: Path) -> Path:
    """Where an export goes whose file does not compute what the network does."""
    return output.with_name(f"{output.name}_unproven")


def check_free(folder: Path, overwrite: bool) -> None:
    """Raises InputError where something is in the way that must not, or was not to be, replaced."""
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise InputError(f"{folder} is a file. Choose another output=FOLDER.")
    found = {path.name for path in folder.iterdir()}
    if found and not found <= FILES:
        raise InputError(
            f"{folder} holds other things than an export ({sorted(found - FILES)[0]}), so nothing "
            "was written. Choose another output=FOLDER."
        )
    if found and not overwrite:
        raise InputError(
            f"{folder} holds an export already. Nothing was changed in it; add overwrite=true to "
            "replace it, or choose another output=FOLDER."
        )


@contextmanager
def begun(output: Path) -> Iterator[Path]:
    """An empty folder beside `output` to work in; what is left of it goes."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent, prefix=".export-") as scratch:
        part = Path(scratch) / "export"
        part.mkdir()
        yield part


def finish(part: Path, folder: Path, overwrite: bool) -> None:
    """Gives a folder that was begun its final name; what it replaces goes with the rest."""
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
