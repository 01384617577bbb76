"""Makes tests/formats/files/cityscapes with datumaro 1.13.12.

Run by hand: pip install datumaro==1.13.12; python tests/formats/make/cityscapes.py. The labels have
no background: datumaro numbers them from 1 on, and lists them in label_colors.txt from line 1 on.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import datumaro as dm
import numpy as np

FOLDER = Path(__file__).parents[1] / "files" / "cityscapes"


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    scratch, dent = np.zeros((2, 8, 10), np.uint8)
    scratch[2:4], dent[5] = 1, 1
    media = dm.Image.from_numpy(np.full((8, 10, 3), 90, np.uint8))
    masks = [dm.Mask(scratch, label=0), dm.Mask(dent, label=1)]
    items = [
        dm.DatasetItem("a", subset=subset, media=media, annotations=masks)
        for subset in ("train", "val")
    ]
    found = dm.Dataset.from_iterable(items, categories=["scratch", "dent"])
    found.export(str(FOLDER), "cityscapes", save_media=True)


if __name__ == "__main__":
    main()
