#!/usr/bin/env bash
# monai 1.6.1, torch 2.13.0, scipy 1.17.1, numpy 2.4.6, Python 3.11
#
# Filling holes deletes the defects of a part.
# Behaviour: the documentation of FillHoles calls a hole a background pixel that a single class encloses. The
# transform, however, fills all that a class encloses, other classes, too: with the part as class 1 and a
# defect as class 2 on it, class 2 becomes class 1, unless it touches the part's outline. It does so with the
# default arguments and with applied_labels=[1]. For channels of one class each, the defect stays in its
# channel, and becomes part of that of the part.
# Seen: a part of 256 pixels with a real hole of 4, a defect of 16 on it and one of 16 at its edge: after FillHoles
# 240 pixels of the part, 16 of the defect at the edge, none of the other one.
# Expected: the hole of 4 pixels filled, and 32 pixels of defects as before.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet monai==1.6.1 torch==2.13.0 scipy==1.17.1 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import numpy as np
from monai.transforms import FillHoles

PART, DEFECT = 1, 2
classes = np.zeros((1, 20, 20), np.uint8)
classes[0, 2:18, 2:18] = PART
classes[0, 12:14, 12:14] = 0  # the hole
classes[0, 6:10, 6:10] = DEFECT
classes[0, 14:18, 2:6] = DEFECT  # at the edge


def pixels(classes):
    return np.bincount(np.asarray(classes).astype(int).ravel(), minlength=3).tolist()


print("pixels of background, part and defects before:", pixels(classes))
assert pixels(classes) == [148, 220, 32]
for name, transform in (("default", FillHoles()), ("applied_labels=[1]", FillHoles(applied_labels=[PART]))):
    filled = np.asarray(transform(classes.copy()))
    print(f"{name}: {pixels(filled)}")
    assert pixels(filled) == [144, 240, 16]
    assert (filled[0, 6:10, 6:10] == PART).all() and (filled[0, 14:18, 2:6] == DEFECT).all()

channels = np.stack([classes[0] == number for number in range(3)]).astype(np.uint8)
filled = np.asarray(FillHoles(applied_labels=[PART])(channels.copy()))
both = int((filled[PART].astype(bool) & filled[DEFECT].astype(bool)).sum())
print("channels: defect", int(filled[DEFECT].sum()), "of them part as well", both)
assert filled[DEFECT].sum() == 32 and both == 16
print("as described")
PYTHON
