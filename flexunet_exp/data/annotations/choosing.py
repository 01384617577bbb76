"""Which format an export is of: the formats are the files of conf/annotations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flexunet_exp.config import building
from flexunet_exp.data.annotations.formats.format import Format
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.errors import InputError, did_you_mean


def chosen(name: str, formats: Mapping[str, Any], place: Place) -> tuple[str, Format]:
    """The format `name` (`auto`: the one that recognises the export), and its name.

    `formats` maps each name to its yaml. Raises InputError for an unknown name, where none or
    several formats recognise the files, and for settings that the format does not read.
    """
    kind, built = of_name(name, formats, place)
    if unread := [key for key in place.options if key not in built.options]:
        raise InputError(
            [f"{key}=…: the format {kind} does not read it. Leave it out" for key in unread]
        )
    return kind, built


def of_name(name: str, formats: Mapping[str, Any], place: Place) -> tuple[str, Format]:
    listed = ", ".join(sorted(formats))
    if name != "auto":
        if name not in formats:
            known = [*formats, "auto"]
            raise InputError(
                f"format={name}: unknown.{did_you_mean(name, known)} There are: {listed}"
            )
        return name, building.build(formats[name])
    if "mask" in place.options:  # the files are named: nothing is left to recognise
        return "image_masks", building.build(formats["image_masks"])
    found = [
        (each, built)
        for each, built in ((each, building.build(node)) for each, node in formats.items())
        if built.recognises(place)
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(
            f"{place.given}: no format was recognised in {len(place.files)} files. Check that it "
            f"is the folder of an export, or name its format=: {listed}"
        )
    names = ", ".join(each for each, _ in found)
    raise InputError(
        f"{place.given}: several formats were recognised: {names}. Name one: format={found[0][0]}"
    )
