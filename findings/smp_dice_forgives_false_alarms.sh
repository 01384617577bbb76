#!/usr/bin/env bash
# segmentation-models-pytorch 0.6.0, torch 2.13.0, numpy 2.4.6, Python 3.11
#
# A network that calls every pixel of a good part a defect has a Dice loss of 0.
# Behaviour: DiceLoss, JaccardLoss and TverskyLoss set the loss of each class to 0 that no pixel of the batch
# shows, whatever is predicted. In binary mode a batch of good parts, the usual one of an inspection, has no
# loss and no gradient, so that nothing is learnt against false alarms; whether they count depends on whether the
# batch has a defect in another picture. The documentation of the losses does not say so; smooth, its constant
# for such cases, changes nothing.
# Seen: everything called a defect in two good parts: 0.0 with each of the three, the gradient 0.0; with one
# defect of 16 of 2,048 pixels in the second: a Dice loss of 0.984. smooth=1: 0.0, too.
# Expected: a loss near 1, as a Dice of 0 has.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet torch==2.13.0 numpy==2.4.6
venv/bin/pip install --quiet --no-deps segmentation-models-pytorch==0.6.0
venv/bin/python - <<'PYTHON'
import importlib.util
import sys
import types

import torch

# Only the package's losses are needed, not its networks with what they import.
package = types.ModuleType("segmentation_models_pytorch")
package.__path__ = importlib.util.find_spec("segmentation_models_pytorch").submodule_search_locations
sys.modules[package.__name__] = package
from segmentation_models_pytorch import losses  # noqa: E402


def loss(kind, truth, **options):
    """The loss of predicting a defect everywhere, and the largest gradient."""
    logits = torch.full((2, 1, 32, 32), 2.0, requires_grad=True)
    found = kind("binary", **options)(logits, truth)
    found.backward()
    return round(float(found.detach()), 3), float(logits.grad.abs().max())


good = torch.zeros(2, 1, 32, 32)
one = good.clone()
one[1, 0, 4:8, 4:8] = 1
for kind in (losses.DiceLoss, losses.JaccardLoss, losses.TverskyLoss):
    found = [loss(kind, good), loss(kind, good, smooth=1.0), loss(kind, one)]
    print(kind.__name__, "(loss, gradient): good parts", *found[:2], "one defect", found[2])
    assert found[0] == found[1] == (0.0, 0.0)
    assert found[2][0] > 0.9 and found[2][1] > 0
print("as described")
PYTHON
