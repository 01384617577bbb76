"""NEU-Seg: hot-rolled steel strip, with class numbers in the masks.

`images/{training,test}/NNNNNN.jpg` with `annotations/{training,test}/NNNNNN.png`
(github.com/DHW-Master/NEU_Seg). The set names its classes nowhere; the numbers are those of
github.com/ZhuangweiZhao/ADASAM, adasam/datasets/neu_seg.py.
"""

from __future__ import annotations

from pathlib import Path

from flexunet_exp.data.annotations.formats.public import (
    PublicSet,
    by_table,
    left_over,
    no_mask,
    parts_of,
)
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.records import Export, Labelled

TABLE = {1: "inclusion", 2: "patches", 3: "scratches"}
SPLITS = {"training": "train", "test": "test"}
NUMBERS = (
    "NEU-Seg says nowhere which number in its masks is which class: 1 inclusion, 2 patches and 3 "
    "scratches are those of public programs that read it. Look at some pictures."
)


class NeuSeg(PublicSet):
    """NEU-Seg."""

    title = "NEU-Seg"
    layout = "images/training/000001.jpg, with annotations/training/000001.png"
    suffixes = (".jpg", ".png")
    terms = (
        "NEU-Seg: no licence is given. Cite: Dong, Song, He, Xu, Yan, Meng: PGA-Net: Pyramid "
        "Feature Fusion and Global Context Attention Network for Automated Surface Defect "
        "Detection, IEEE Transactions on Industrial Informatics 16(12), 2020"
    )

    def matches(self, place: Place, path: Path) -> bool:
        return place_of(place, path)[0] == "annotations" and path.parent.name == "training"

    def read(self, place: Place) -> Export:
        files = [(place_of(place, path), path) for path in place.of_suffix(*self.suffixes)]
        masks = {(where[1], path.stem): path for where, path in files if where[0] == "annotations"}
        pictures, problems = [], []
        for (kind, part), path in files:
            if kind != "images":
                continue
            mask = masks.pop((part, path.stem), None)
            if mask is None:
                problems.append(no_mask(place, path, f"annotations/{part}/{path.stem}.png"))
            read = (by_table(mask, TABLE),) if mask else ()
            pictures.append(Labelled(place.shown(path), path, split=SPLITS[part], masks=read))
        notes = [NUMBERS, *left_over(masks.values(), place)]
        return self.export(place, pictures, TABLE.values(), problems=problems, notes=notes)


def place_of(place: Place, path: Path) -> tuple[str, str]:
    """Images or annotations, and training or test, of a file of the set; empty of others."""
    kind, part, _ = ("", "", *parts_of(place, path))[-3:]
    return (kind, part) if kind in ("images", "annotations") and part in SPLITS else ("", "")
