#!/usr/bin/env bash
# supervision 0.31.2, opencv-python-headless 5.0.0.93, numpy 2.4.6, Python 3.11
#
# A scratch of one pixel's width is lost on the way through COCO or YOLO files.
# Behaviour: a mask becomes polygons, of which those with fewer than three points are left out. A straight
# line of one pixel's width has two. as_coco then writes a defect without a polygon; read again, it has no
# pixel. as_yolo writes the box of such a defect in its place, but only if no other part of it has a
# polygon: of a defect of a pit and a scratch, the scratch is left out without a word. With two pixels'
# width, every pixel comes back.
# Seen, pixels before and after: scratch of 1 x 200: COCO 200 and 0, YOLO 200 and 200; a pit of 1,257 with
# such a scratch: COCO 1,457 and 1,457, YOLO 1,457 and 1,257; scratch of 2 x 200: 400 and 400 in both.
# Expected: the same pixels, or a warning.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet supervision==0.31.2 opencv-python-headless==5.0.0.93 numpy==2.4.6
venv/bin/python -W ignore - <<'PYTHON'
import pathlib

import cv2
import numpy as np
import supervision as sv

PICTURE = "images/a.png"
SHAPE = (128, 256)
pathlib.Path("images").mkdir()
cv2.imwrite(PICTURE, np.zeros((*SHAPE, 3), np.uint8))


def back(mask, kind):
    """The mask's pixels after it was written and read again."""
    found = sv.Detections(sv.mask_to_xyxy(mask[None]), mask[None], class_id=np.array([0]))
    written = sv.DetectionDataset(["defect"], [PICTURE], {PICTURE: found})
    if kind == "COCO":
        written.as_coco(annotations_path="coco.json")
        read = sv.DetectionDataset.from_coco("images", "coco.json", force_masks=True)
    else:
        written.as_yolo(annotations_directory_path="labels", data_yaml_path="data.yaml")
        read = sv.DetectionDataset.from_yolo("images", "labels", "data.yaml", force_masks=True)
    masks = [each.mask for each in read.annotations.values() if each.mask is not None]
    return int(sum(one.sum() for one in masks))


thin, thick, both = np.zeros((3, *SHAPE), bool)
thin[90, 30:230] = True
thick[90:92, 30:230] = True
rows, columns = np.indices(SHAPE)
both |= thin | ((rows - 40) ** 2 + (columns - 60) ** 2 <= 400)
seen = {}
for name, mask in (("thin", thin), ("thick", thick), ("pit and thin", both)):
    seen[name] = (int(mask.sum()), back(mask, "COCO"), back(mask, "YOLO"))
    print(f"{name}: {seen[name][0]} pixels, by COCO {seen[name][1]}, by YOLO {seen[name][2]}")
assert seen == {"thin": (200, 0, 200), "thick": (400, 400, 400), "pit and thin": (1457, 1457, 1257)}
print("as described")
PYTHON
