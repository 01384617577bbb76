#!/usr/bin/env bash
# scikit-image 0.26.0, scipy 1.17.1, numpy 2.4.6, Python 3.11
#
# A slanted scratch of three pixels' width has a tenth of its perimeter.
# Behaviour: regionprops(...).perimeter adds a length for each border pixel by the pattern of its border
# neighbours, and the patterns of narrow regions have none. So the perimeter of a thin region depends on its
# width and direction more than on its length. Circularity (4 pi area / perimeter^2), by which scratches are
# told from pits, is then far above 1.
# Seen: bands at 45 degrees through 40 rows, 1, 2 and 3 pixels wide: perimeters of 53.7, 80.4 and 9.7; a
# level line of 5 pixels: 3.0. perimeter_crofton of the same bands: 85.6, 109.2 and 111.1.
# Expected: about 115 for each band, 12 or 8 for the line; at least, more than the scratch is long.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet scikit-image==0.26.0 scipy==1.17.1 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import math

import numpy as np
from skimage.measure import regionprops

ROWS = 40


def band(width):
    mask = np.zeros((60, 60), np.uint8)
    for row in range(ROWS):
        mask[10 + row, 5 + row : 5 + row + width] = 1
    return mask


bands = {width: regionprops(band(width))[0] for width in (1, 2, 3)}
for width, found in bands.items():
    round_ = 4 * math.pi * found.area / found.perimeter**2
    print(f"width {width}: perimeter {found.perimeter:.1f}, crofton {found.perimeter_crofton:.1f}, circularity {round_:.2f}")
line = np.zeros((9, 9), np.uint8)
line[4, 2:7] = 1
print("a level line of 5 pixels:", regionprops(line)[0].perimeter)
length = ROWS * math.sqrt(2)
assert bands[1].perimeter < length and bands[3].perimeter < length / 5 and bands[2].perimeter > length
assert 4 * math.pi * bands[3].area / bands[3].perimeter**2 > 10
assert bands[3].perimeter_crofton > 1.8 * length
assert regionprops(line)[0].perimeter == 3
print("as described")
PYTHON
