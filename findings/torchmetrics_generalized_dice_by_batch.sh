#!/usr/bin/env bash
# torchmetrics 1.9.0, torch 2.13.0, numpy 2.4.6, Python 3.11
#
# The generalized Dice of the same pictures depends on how they are put into batches.
# Behaviour: GeneralizedDiceScore weights each class of a picture by one over its squared area in the
# truth. A class that the truth of a picture lacks takes a weight from the other pictures of the batch, and,
# because the weights are listed in another order there, that of another class. Alone in its batch such a
# picture has the weight 0 for the class, so that false alarms of the class cost nothing.
# Seen: a picture of class 1 with a false alarm of class 2 beside one of classes 1 and 2 that is right.
# In batches of one: 1.0. In a batch of two: 0.92, and 0.85 with the pictures exchanged.
# Expected: the mean over the pictures, whatever the batches and their order are, as DiceScore and MeanIoU
# of the same package give it.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import torch
from torchmetrics.segmentation import DiceScore, GeneralizedDiceScore

truth = torch.zeros(2, 32, 32, dtype=torch.long)
truth[:, 2:12, 2:12] = 1
predicted = truth.clone()
predicted[0, 20:26, 20:26] = 2  # a false alarm: this picture has no class 2
truth[1, 20:28, 20:28] = predicted[1, 20:28, 20:28] = 2
there, back = [0, 1], [1, 0]


def score(kind, batches):
    metric = kind(num_classes=3, include_background=False, input_format="index")
    for batch in batches:
        metric.update(predicted[batch], truth[batch])
    return float(metric.compute())


found = {}
for kind in (GeneralizedDiceScore, DiceScore):
    found[kind] = [score(kind, batches) for batches in ([[0], [1]], [there], [back])]
    print(kind.__name__, "one by one, both at once, exchanged:", [round(one, 3) for one in found[kind]])
single, both, exchanged = found[GeneralizedDiceScore]
assert single == 1.0 and both < 0.95 and exchanged < 0.95 and abs(both - exchanged) > 0.01
assert max(found[DiceScore]) - min(found[DiceScore]) < 1e-6
print("as described")
PYTHON
