"""nnU-Net v2's raw data sets: dataset.json, imagesTr/X_0000.EXT and labelsTr/X.EXT.

Labels are numbers, 0 the background; `ignore`, if there is one, is the highest number plus 1.
Pictures may be PNG, BMP or TIFF, or NIfTI of one slice (by the package nibabel).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from flexunet_exp.data.annotations.checked_json import member, want
from flexunet_exp.data.annotations.formats import nifti
from flexunet_exp.data.annotations.formats.format import Format
from flexunet_exp.data.annotations.formats.mask_pictures import by_value, labels_of
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.raster import Tool
from flexunet_exp.data.annotations.records import BACKGROUND, IGNORED, Class, Export, Labelled
from flexunet_exp.errors import InputError

FILE = "dataset.json"
MEND = "Add them to labels of dataset.json"


class NnUNet(Format):
    """A folder DatasetNNN_NAME; the pictures of imagesTs have labels where labelsTs is there."""

    title = "nnU-Net v2"

    def recognises(self, place: Place) -> bool:
        return any(is_nnunet(place.json(path)) for path in descriptions_in(place))

    def read(self, place: Place) -> Export:
        path, *others = [p for p in descriptions_in(place) if is_nnunet(place.json(p))]
        if others:
            shown = ", ".join(place.shown(one) for one in (path, *others))
            raise InputError(f"{shown}: several data sets. Import one at a time.")
        content, shown = place.json(path), place.shown(path)
        names = names_of(content, shown)
        ending = member(content, "file_ending", str, shown)
        pictures = [
            *pictures_of(place, path.parent, "Tr", ending, names),
            *pictures_of(place, path.parent, "Ts", ending, names),
        ]
        volumes = [one for one in place.files if nifti.is_nifti(one)]  # no pictures of their own
        return Export(
            Tool("nnU-Net"),
            tuple(map(Class, labels_of(names.values()))),
            tuple(pictures),
            (path, *volumes),
        )


def descriptions_in(place: Place) -> list[Path]:
    return [path for path in place.of_suffix(".json") if path.name == FILE]


def is_nnunet(content: Any) -> bool:
    return isinstance(content, dict) and {"labels", "file_ending"} <= content.keys()


def names_of(content: dict, shown: str) -> dict[int, str]:
    """Number → label."""
    labels = member(content, "labels", dict, shown)
    names = {}
    for label, number in labels.items():
        if isinstance(number, list):
            raise InputError(
                f"{shown} labels: {label} is a region of several numbers, and a pixel has one "
                "class here. Give each number a label of its own."
            )
        value = want(number, int, f"{shown} labels {label}")
        if not 0 <= value <= 255 or value in names:
            raise InputError(f"{shown} labels: {label} is {value}, expected one number up to 255.")
        names[value] = label
    if IGNORED in labels and labels[IGNORED] != max(names):
        raise InputError(
            f"{shown} labels: ignore is {labels[IGNORED]}, expected the highest label plus 1, "
            f"{max(names)} or more."
        )
    return {**names, 0: BACKGROUND}


def pictures_of(
    place: Place, folder: Path, end: str, ending: str, names: dict[int, str]
) -> Iterator[Labelled]:
    """The pictures of imagesTr or imagesTs. Raises InputError for those of several channels."""
    channels = channels_of(place, folder / f"images{end}", ending)
    if several := [name for name, files in channels.items() if len(files) > 1]:
        raise InputError(
            f"images{end}: {len(several)} pictures are of several files, such as {several[0]} "
            "(_0000, _0001 …): one picture of all channels is expected."
        )
    labels = {
        path.name.removesuffix(ending): path
        for path in place.files
        if path.parent == folder / f"labels{end}" and path.name.endswith(ending)
    }
    for name in dict.fromkeys([*channels, *labels]):
        yield picture_of(place, name, channels.get(name), labels.get(name), names)


def picture_of(
    place: Place, name: str, images: list[Path] | None, label: Path | None, names: dict[int, str]
) -> Labelled:
    image = images[0] if images else None
    volume = image if image is not None and nifti.is_nifti(image) else None
    read = nifti.by_value if label is not None and nifti.is_nifti(label) else by_value
    return Labelled(
        place.shown(image) if image else name,
        None if volume else image,
        masks=(read(label, names, MEND),) if label else (),
        done=label is not None,
        content=partial(nifti.picture_of, volume) if volume else None,
        written_in=place.shown(label) if label else "",
    )


def channels_of(place: Place, folder: Path, ending: str) -> dict[str, list[Path]]:
    """Name → its files X_0000, X_0001 …"""
    found: dict[str, list[Path]] = {}
    for path in place.files:
        fit = re.fullmatch(r"(.+)_\d{4}", path.name.removesuffix(ending))
        if path.parent == folder and path.name.endswith(ending) and fit:
            found.setdefault(fit[1], []).append(path)
    return found
