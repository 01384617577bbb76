"""What was made of an earlier state of a picture: it goes when the picture changes.

An earlier call may have made kinds of files that this one does not make.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from flexunet_exp.commands.infer.outputs import Output
from flexunet_exp.commands.infer.reading import stamp
from flexunet_exp.commands.infer.records import Records, Stamp
from flexunet_exp.data.channels import Channels
from flexunet_exp.data.find_pictures import Picture


def remove(
    output: Output, done: Records, picture: Picture, state: Stamp, made: Collection[Path]
) -> None:
    """Removes what another state of a picture left beside the files `made` of this `state`."""
    if done.has_other(picture.path, state):
        output.remove(picture.name, made)


def forget(output: Output, done: Records, picture: Picture, channels: Channels) -> None:
    """Removes files and record of a refused picture, unless they are of its present state."""
    if done.has_other(picture.path, stamp_now(picture.path, channels)):
        output.remove(done.entries[picture.path].name)
        done.remove(picture.path)


def stamp_now(path: Path, channels: Channels) -> Stamp | None:
    """The state of a picture's files; None where they cannot be read."""
    try:
        return stamp(path, channels)
    except OSError:
        return None
