"""The files written for each picture, always inside the output folder."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from flexunet_exp.data import masks
from flexunet_exp.data.tiles import Size
from flexunet_exp.data.volumes import volume
from flexunet_exp.errors import InputError
from flexunet_exp.prediction.predictor import Band
from flexunet_exp.reporting import heat, panels
from flexunet_exp.system.files import whole_or_nothing

SUFFIXES = {
    "masks": (".png",),
    "overlays": (".png",),
    "probabilities": (".npz",),
    "uncertainty": (".npz", ".png"),
}
OF_VOLUMES = {"masks": volume.SUFFIXES, "overlays": (".gif", ".mp4")}


class Output:
    """The files of an output folder: KIND/NAME.png or .npz, each written in one step."""

    def __init__(
        self, folder: Path, class_names: Sequence[str], palette: np.ndarray, end: float = 1
    ):
        self.folder, self.class_names, self.palette = folder, class_names, palette
        self.end = end  # of the colours of the maps of uncertainty

    def path(self, kind: str, name: str, suffix: str = "") -> Path:
        """A file's path; InputError if a link or a name leads out of the output folder.

        Without `suffix`, it is the first file of its kind.
        """
        path = self.folder / kind / f"{name}{suffix or SUFFIXES[kind][0]}"
        parent = path.parent.relative_to(self.folder)
        if path.parent.resolve() != self.folder.resolve() / parent:
            raise InputError(
                f"{path.parent} leads out of the output folder, through a link or `..`. Nothing "
                "was written there. Remove it, or choose another output=FOLDER."
            )
        return path

    def paths(self, kinds: Iterable[str], name: str) -> list[Path]:
        return [self.path(kind, name, suffix) for kind in kinds for suffix in SUFFIXES[kind]]

    def prepared(self, kind: str, name: str, suffix: str = "") -> Path:
        path = self.path(kind, name, suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def has(self, kinds: Iterable[str], name: str) -> bool:
        return all(path.is_file() for path in self.paths(kinds, name))

    def has_volume(self, suffixes: Mapping[str, str], name: str) -> bool:
        return all(path.is_file() for path in self.paths_of_volume(suffixes, name))

    def paths_of_volume(self, suffixes: Mapping[str, str], name: str) -> list[Path]:
        return [self.path(kind, name, end) for kind, end in suffixes.items()]

    def remove(self, name: str, without: Collection[Path] = ()) -> None:
        """Removes the files of a picture or a volume, `without` some of them."""
        deep = [self.path(kind, name, end) for kind, ends in OF_VOLUMES.items() for end in ends]
        for path in {*self.paths(SUFFIXES, name), *deep} - {*without}:
            with suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()

    def write_mask(self, name: str, mask: np.ndarray) -> None:
        masks.write_palette_mask(self.prepared("masks", name), mask, self.palette)

    def write_uncertainty(self, name: str, unsure: np.ndarray) -> None:
        """Writes a map (H, W) float16 of values from 0 to 1 as `uncertainty`, and as a picture."""
        with (
            whole_or_nothing(self.prepared("uncertainty", name, ".npz")) as part,
            open(part, "wb") as file,
        ):
            np.savez_compressed(file, uncertainty=unsure)
        heat.write(self.prepared("uncertainty", name, ".png"), unsure, self.end)

    def write_overlay(
        self, name: str, image: np.ndarray, mask: np.ndarray, unsure: np.ndarray | None = None
    ) -> None:
        """Writes the picture with its regions tinted, beside its uncertainty (H, W) if given."""
        picture = panels.annotated(image, mask, self.class_names, self.palette)
        if unsure is not None:
            picture = heat.beside(picture, unsure, "uncertainty", self.end)
        panels.write_png(self.prepared("overlays", name), picture)

    def keep_probabilities(self, name: str, bands: Iterable[Band], size: Size) -> Iterator[Band]:
        """Yields the bands unchanged, and writes them as one float16 array (H, W, C).

        The file is an .npz for `numpy.load` with the array `probabilities`. It is not compressed,
        because compression saves only a tenth.
        """
        shape = (*size, len(self.class_names))
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        with (
            whole_or_nothing(self.prepared("probabilities", name)) as part,
            zipfile.ZipFile(part, "w") as archive,
            archive.open("probabilities.npy", "w", force_zip64=True) as array,
        ):
            np.lib.format.write_array_header_1_0(array, header)
            for band in bands:
                array.write(band.probabilities.astype("<f2").tobytes())
                yield band
