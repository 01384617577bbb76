#!/usr/bin/env bash
# segmentation-models-pytorch 0.6.0, torch 2.13.0, numpy 2.4.6, Python 3.11
#
# The more pixels are to be ignored, the less the others count.
# Behaviour: SoftCrossEntropyLoss(ignore_index=255) adds up the loss of the pixels that are not ignored and
# divides by the number of all pixels. Where nine tenths of a picture are ignored, the loss and each gradient
# are a tenth of those of torch's cross entropy. SoftBCEWithLogitsLoss does the same. DiceLoss and
# FocalLoss of the same package give what they give for the part that is not ignored, so that a sum of two
# losses is weighted by how much was ignored.
# Seen, 8 of 10 rows ignored, against the two other rows alone: soft cross entropy 0.2, binary 0.2, Dice 1.0,
# focal 1.0 times the loss.
# Expected: 1.0, as with torch's cross_entropy.
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

IGNORED = 255
torch.manual_seed(0)
logits = torch.randn(2, 3, 40, 32)
truth = torch.randint(0, 3, (2, 40, 32))
single, binary = logits[:, :1], (truth[:, None] > 0).float()


def ratio(loss, logits, truth):
    """The loss with 32 of 40 rows ignored by that of the other rows alone."""
    marked = truth.clone()
    marked[..., 8:, :] = IGNORED
    return round(float(loss(logits, marked) / loss(logits[..., :8, :], truth[..., :8, :])), 3)


found = {
    "soft cross entropy": ratio(losses.SoftCrossEntropyLoss(ignore_index=IGNORED, smooth_factor=0.0), logits, truth),
    "binary": ratio(losses.SoftBCEWithLogitsLoss(ignore_index=IGNORED), single, binary),
    "Dice": ratio(losses.DiceLoss("multiclass", ignore_index=IGNORED), logits, truth),
    "focal": ratio(losses.FocalLoss("multiclass", ignore_index=IGNORED), logits, truth),
    "torch": ratio(torch.nn.CrossEntropyLoss(ignore_index=IGNORED), logits, truth),
}
print("loss with four fifths ignored, by that of the last fifth alone:", found)
assert found == {"soft cross entropy": 0.2, "binary": 0.2, "Dice": 1.0, "focal": 1.0, "torch": 1.0}
print("as described")
PYTHON
