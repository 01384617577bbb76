"""Annotations of pictures that have a file for each light: one of the files is annotated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flexunet_exp.data.annotations.records import Export, Labelled
from flexunet_exp.data.channels import Channels
from flexunet_exp.data.grouping import first_of


def one_light(export: Export, channels: Channels) -> Export:
    """The export with each picture once: as the file of the light that is annotated.

    Adds the problem of pictures of which several lights are.
    """
    if not channels.lights:
        return export
    groups: dict[Path, list[Labelled]] = {}
    for one in export.pictures:
        path = channels.files(one.file)[0] if one.file else Path(one.name)
        groups.setdefault(path, []).append(one)
    kept = tuple(max(group, key=says) for group in groups.values())
    twice = [group[0].name for group in groups.values() if sum(map(shows, group)) > 1]
    problems = [several(twice)] if twice else []
    return replace(export, pictures=kept, problems=[*export.problems, *problems])


def says(one: Labelled) -> tuple[bool, bool]:
    return one.done, shows(one)


def shows(one: Labelled) -> bool:
    return bool(one.all_objects or one.masks)


def several(names: list[str]) -> str:
    return (
        f"{len(names)} pictures are annotated in the files of several lights, such as "
        f"{first_of(names)}: keep the annotations of one light of each."
    )
