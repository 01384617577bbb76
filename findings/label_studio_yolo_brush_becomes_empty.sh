#!/usr/bin/env bash
# label-studio-sdk 2.1.2, Python 3.11
#
# A picture whose defects were painted is exported as a picture without defects.
# Behaviour: the converter to YOLO writes polygons and boxes alone. For a finished task with nothing but
# brush regions it writes an empty text file, without a warning, and the same for a task whose
# annotation has no region. In YOLO's format an empty file says that the picture shows no object, so a
# trainer takes painted defects for background.
# Seen: labels/1.txt (a brush) and labels/3.txt (no region) are both empty, labels/2.txt has a polygon.
# Expected: an error or a warning that names the task, or no file for it.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet label-studio-sdk==2.1.2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import json
import sys
from pathlib import Path

import numpy as np
from label_studio_sdk.converter import Converter, brush

CONFIG = """<View><Image name="image" value="$image"/>
<BrushLabels name="brush" toName="image"><Label value="scratch"/></BrushLabels>
<PolygonLabels name="polygon" toName="image"><Label value="dent"/></PolygonLabels></View>"""


def region(kind, name, value):
    size = {"original_width": 12, "original_height": 8}
    return {"id": name, "type": kind, "from_name": name, "to_name": "image", "value": value, **size}


def task(number, *regions):
    done = {"id": number, "completed_by": 1, "was_cancelled": False, "result": [*regions]}
    return {"id": number, "data": {"image": f"/data/upload/1/{number}.png"}, "annotations": [done]}


mask = np.zeros((8, 12), np.uint8)
mask[2:5, 2:6] = 255
painted = {"format": "rle", "rle": brush.mask2rle(mask), "brushlabels": ["scratch"]}
drawn = {"points": [[10, 10], [50, 10], [50, 60]], "polygonlabels": ["dent"]}
tasks = [
    task(1, region("brushlabels", "brush", painted)),
    task(2, region("polygonlabels", "polygon", drawn)),
    task(3),
]
Path("tasks.json").write_text(json.dumps(tasks))
Converter(CONFIG, ".", download_resources=False).convert_to_yolo("tasks.json", "out", is_dir=False)
texts = {path.name: path.read_text() for path in sorted(Path("out/labels").iterdir())}
print(texts)
sys.exit(0 if not texts["1.txt"] and not texts["3.txt"] and texts["2.txt"] else 1)
PYTHON
