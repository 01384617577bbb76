#!/usr/bin/env bash
# sahi 0.12.8, pillow 13.0.0, Python 3.11
#
# Cut into tiles, a scratch of 2,500 pixels is in eleven of them, and one of 2,600 pixels in none.
# Behaviour: slice_coco leaves out of a tile what has less than a tenth of its annotation there
# (min_area_ratio=0.1, the default). The measure is the whole annotation, not the tile. A defect that is much
# longer than a tile has less than a tenth in each of them, so that it is left out of all: every tile
# shows a scratch from side to side and is said to be without defect, and with ignore_negative_samples=True there
# are no tiles. Nothing warns of it. The larger a defect is, the more surely it is lost.
# Seen, tiles with an annotation for scratches of 6 pixels' height, tiles of 256 pixels, the default overlap:
# length 200: 1; 1000: 5; 2500: 11; 2600: 0; 4000: 0. With min_area_ratio=0 the last one is in 20 tiles.
# Expected: each annotation is in one tile at least.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet sahi==0.12.8 pillow==13.0.0
venv/bin/python - <<'PYTHON'
import contextlib
import io
import json
import pathlib

from PIL import Image
from sahi.slicing import slice_coco

pathlib.Path("images").mkdir()
Image.new("RGB", (4096, 1024)).save("images/a.png")


def tiles(length, **options):
    """The number of tiles, and of those with an annotation, for a scratch of this length."""
    left, top, height = 20, 500, 6
    ring = [left, top, left + length, top, left + length, top + height, left, top + height]
    scratch = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": [ring]}
    scratch |= {"bbox": [left, top, length, height], "area": length * height}
    picture = {"id": 1, "file_name": "a.png", "width": 4096, "height": 1024}
    known = {"images": [picture], "annotations": [scratch], "categories": [{"id": 1, "name": "scratch"}]}
    pathlib.Path("coco.json").write_text(json.dumps(known))
    with contextlib.redirect_stderr(io.StringIO()):  # the bar of its progress
        made, _ = slice_coco(
            "coco.json", "images", "tiles", output_dir="tiles", slice_height=256, slice_width=256, **options
        )
    return len(made["images"]), len({one["image_id"] for one in made["annotations"]})


found = {length: tiles(length)[1] for length in (200, 1000, 2500, 2600, 4000)}
print("tiles with an annotation, by the scratch's length:", found)
every, empty = tiles(4000, min_area_ratio=0.0), tiles(4000, ignore_negative_samples=True)
print("length 4000, min_area_ratio=0:", every, "ignore_negative_samples=True:", empty)
assert found == {200: 1, 1000: 5, 2500: 11, 2600: 0, 4000: 0}
assert every[1] == 20 and empty == (0, 0)
print("as described")
PYTHON
