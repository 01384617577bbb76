#!/usr/bin/env bash
# monai 1.6.1, torch 2.13.0, numpy 2.4.6, Python 3.11
#
# A class that no picture shows has the Dice of a class that is always missed.
# Behaviour: DiceMetric leaves out pictures whose truth lacks a class (ignore_empty=True, the default),
# so such a class has no figure in any picture: reduction="none" gives NaN for each. Its mean over the
# batch (reduction="mean_batch") is 0.0, as if the class were in every picture and never found. Only the
# counts that get_not_nans=True returns beside the means tell the two apart. MeanIoU does the same.
# Seen: two pictures, class 1 predicted perfectly, class 2 shown by no picture, class 3 shown and missed:
# a picture at a time NaN for class 2; mean_batch 1.0, 0.0, 0.0.
# Expected: NaN for class 2, as numpy's and torch's nanmean give for no values. Who averages the classes
# of a test set with a rare one divides by a class that was not tested.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet monai==1.6.1 torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import torch
from monai.metrics import DiceMetric, MeanIoU

CLASSES = 4  # background first


def one_hot(classes: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.one_hot(classes, CLASSES).movedim(-1, 1).float()


truth = torch.zeros(2, 16, 16, dtype=torch.long)
truth[:, 2:6, 2:6] = 1
predicted = truth.clone()
truth[:, 10:14, 10:14] = 3

for kind in (DiceMetric, MeanIoU):
    figures = {}
    for reduction in ("none", "mean_batch"):
        metric = kind(include_background=False, reduction=reduction)
        metric(one_hot(predicted), one_hot(truth))
        figures[reduction] = metric.aggregate()
    print(kind.__name__, "each picture", figures["none"].tolist())
    print(kind.__name__, "mean_batch  ", figures["mean_batch"].tolist())
    assert figures["none"][:, 1].isnan().all()
    assert torch.isnan(figures["none"].nanmean(dim=0)).tolist() == [False, True, False]
    assert figures["mean_batch"].tolist() == [1.0, 0.0, 0.0]
print("as described")
PYTHON
