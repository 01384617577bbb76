#!/usr/bin/env bash
# scipy 1.17.1, numpy 2.4.6, Python 3.11
#
# A mask without background is as far from it as from a pixel above its upper left corner.
# Behaviour: distance_transform_edt gives each pixel's distance to the nearest background. Where a mask fills
# its whole picture, there is none. The distances are then those to row -1, column 0, a pixel that is not
# there; they depend on how the picture lies, and nothing is raised. The same row -1 is among the indices of
# return_indices=True, and, used as an index, it takes the values of the last row.
# Seen: 40 x 60 pixels of ones: 1 at the upper left, 71.28 at the lower right; turned upside down, the same
# numbers at the same places. With a single background pixel at the lower right, 0 there and 70.72 at the upper left.
# Expected: infinity, as no background is at any distance, or an error. Weights of loss functions by the
# distance to the outline, and thicknesses of regions, take such a ramp for a measurement.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet scipy==1.17.1 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import numpy as np
from scipy.ndimage import distance_transform_edt

filled = np.ones((40, 60), np.uint8)
distances, places = distance_transform_edt(filled, return_indices=True)
rows, columns = np.indices(filled.shape)
print("no background: first", distances[0, 0], "last", distances[-1, -1].round(2))
print("the nearest background is said to be at row", np.unique(places[0]), "column", np.unique(places[1]))
assert np.allclose(distances, np.hypot(rows + 1, columns))
assert np.unique(places[0]).tolist() == [-1] and np.unique(places[1]).tolist() == [0]
assert np.array_equal(distance_transform_edt(filled[::-1]), distances)

filled[-1, -1] = 0
distances = distance_transform_edt(filled)
print("one pixel of background at the end: first", distances[0, 0].round(2), "last", distances[-1, -1])
assert np.isclose(distances[0, 0], np.hypot(39, 59)) and distances[-1, -1] == 0
print("as described")
PYTHON
