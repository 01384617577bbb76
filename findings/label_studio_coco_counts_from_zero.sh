#!/usr/bin/env bash
# label-studio-sdk 2.1.2, pycocotools 2.0.11, faster-coco-eval 1.8.0, numpy 2.2.6, Python 3.11
#
# A perfect detector scores 0.56 on what Label Studio exports.
# Behaviour: the converter to COCO numbers annotations from 0. The two usual evaluators keep, for each
# detection, the number of the annotation that it matches, where 0 stands for none. So the first annotation of
# the file counts as missed however well it is found, and its detection as a false alarm. Neither COCO's
# description of the format nor an error of the evaluators excludes the number 0. With few annotations,
# as in a set of defects, it shows; a class with that annotation alone has an average precision of 0.
# Seen: four boxes, and the same four as detections: AP 0.564, recall 0.75 with both evaluators; with 1 added to
# the numbers, 1.0 and 1.0.
# Expected: 1.0 for the file as it is.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet label-studio-sdk==2.1.2 pycocotools==2.0.11 faster-coco-eval==1.8.0 numpy==2.2.6
venv/bin/python - <<'PYTHON'
import contextlib
import copy
import io
import json
import pathlib
import warnings

import faster_coco_eval
import pycocotools.coco
import pycocotools.cocoeval
from label_studio_sdk.converter import Converter

CONFIG = """<View><Image name="image" value="$image"/>
<RectangleLabels name="box" toName="image"><Label value="dent"/></RectangleLabels></View>"""


def region(left):
    value = {"x": left, "y": 20, "width": 10, "height": 20, "rotation": 0, "rectanglelabels": ["dent"]}
    size = {"original_width": 200, "original_height": 100}
    return {"id": f"at{left}", "type": "rectanglelabels", "from_name": "box", "to_name": "image", "value": value} | size


done = {"id": 1, "completed_by": 1, "was_cancelled": False, "result": [region(left) for left in (5, 25, 45, 65)]}
tasks = [{"id": 1, "data": {"image": "/data/upload/1/a.png"}, "annotations": [done]}]
pathlib.Path("tasks.json").write_text(json.dumps(tasks))
Converter(CONFIG, ".", download_resources=False).convert_to_coco("tasks.json", "out", is_dir=False)
exported = json.loads(pathlib.Path("out/result.json").read_text())
numbers = [one["id"] for one in exported["annotations"]]
print("numbers of the exported annotations:", numbers)
assert numbers == [0, 1, 2, 3]

more = copy.deepcopy(exported)
for one in more["annotations"]:
    one["id"] += 1
keys = ("image_id", "category_id", "bbox")
perfect = [{key: one[key] for key in keys} | {"score": 0.9 - one["id"] / 10} for one in exported["annotations"]]
evaluators = {
    "pycocotools": (pycocotools.coco.COCO, pycocotools.cocoeval.COCOeval),
    "faster-coco-eval": (faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster),
}


def scores(dataset, evaluator, known):
    pathlib.Path("known.json").write_text(json.dumps(known))
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        truth = dataset("known.json")
        run = evaluator(truth, truth.loadRes(copy.deepcopy(perfect)), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return round(float(run.stats[0]), 3), round(float(run.stats[8]), 3)


for name, both in evaluators.items():
    found = [scores(*both, known) for known in (exported, more)]
    print(name, "average precision and recall, as exported:", found[0], "with 1 added:", found[1])
    assert found == [(0.564, 0.75), (1.0, 1.0)]
print("as described")
PYTHON
