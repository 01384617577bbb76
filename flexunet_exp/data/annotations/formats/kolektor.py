"""KolektorSDD and KolektorSDD2: pictures of metal surfaces, each with a mask beside it.

KolektorSDD has `kosNN/PartM.jpg` with `PartM_label.bmp`: the part kosNN was taken from several
sides (anomalib 2.7.0, data/datasets/image/kolektor.py). KolektorSDD2 has `train` and `test` with
`NNNNN.png` and `NNNNN_GT.png` (github.com/vicoslab/mixed-segdec-net-comind2021,
data/input_ksdd2.py). A mask that is all black is that of a good picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from flexunet_exp.data.annotations.formats.mask_pictures import bright_half
from flexunet_exp.data.annotations.formats.public import (
    HALF_RULE,
    PublicSet,
    left_over,
    no_mask,
    parts_of,
)
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.records import Export, Labelled

DEFECT = "defect"
TERMS = "{}: CC BY-NC-SA 4.0 (no commercial use). Cite: {}"


class Beside(PublicSet):
    """A set whose masks lie beside their pictures; `ending` ends the stem of a mask."""

    ending: str
    place_of: str  # a regular expression for the end of a picture's path

    def matches(self, place: Place, path: Path) -> bool:
        return self.is_mask(path) and self.fit(place, path) is not None

    def is_mask(self, path: Path) -> bool:
        return path.stem.endswith(self.ending)

    def fit(self, place: Place, path: Path) -> re.Match | None:
        """The fit of a picture's, or a mask's, place."""
        stem = path.stem.removesuffix(self.ending)
        where = "/".join((*parts_of(place, path)[:-1], stem))
        return re.search(rf"(?:^|/){self.place_of}$", where)

    def read(self, place: Place) -> Export:
        fitting = [path for path in place.of_suffix(*self.suffixes) if self.fit(place, path)]
        masks = {
            (path.parent, path.stem.removesuffix(self.ending)): path
            for path in fitting
            if self.is_mask(path)
        }
        files = [path for path in fitting if not self.is_mask(path)]
        problems = [
            no_mask(place, path, f"{path.stem}{self.ending} beside it")
            for path in files
            if (path.parent, path.stem) not in masks
        ]
        extra = masks.keys() - {(path.parent, path.stem) for path in files}
        return self.export(
            place,
            self.pictures(place, files, masks),
            [DEFECT],
            problems=problems,
            notes=[*left_over([masks[key] for key in sorted(extra)], place), HALF_RULE],
        )

    def pictures(
        self, place: Place, files: Iterable[Path], masks: dict[tuple[Path, str], Path]
    ) -> Iterable[Labelled]:
        for path in files:
            fit = self.fit(place, path)
            assert fit is not None
            said = fit.groupdict()
            mask = masks.get((path.parent, path.stem))
            yield Labelled(
                place.shown(path),
                path,
                split=said.get("split") or "",
                source=said.get("part") or "",
                masks=(bright_half(mask, DEFECT),) if mask else (),
            )


class KolektorSDD(Beside):
    """KolektorSDD: 50 parts, each from several sides."""

    title = "KolektorSDD"
    layout = "kos01/Part0.jpg, with kos01/Part0_label.bmp"
    ending = "_label"
    place_of = r"(?P<part>kos\d+)/Part\d+"
    terms = TERMS.format(
        title,
        "Tabernik, Šela, Skvarč, Skočaj: Segmentation-based deep-learning approach for "
        "surface-defect detection, Journal of Intelligent Manufacturing 31, 2020",
    )


class KolektorSDD2(Beside):
    """KolektorSDD2, with a train and a test part that both show defects."""

    title = "KolektorSDD2"
    layout = "train/10000.png, with train/10000_GT.png"
    ending = "_GT"
    place_of = r"(?P<split>train|test)/\d+"
    terms = TERMS.format(
        title,
        "Božič, Tabernik, Skočaj: Mixed supervision for surface-defect detection, Computers in "
        "Industry 129, 2021, doi 10.1016/j.compind.2021.103459",
    )
