#!/usr/bin/env bash
# nibabel 5.4.2, numpy 2.4.6, Python 3.11
#
# Classes 0, 1, 2 and 3 are written, and 0, 0, 1 and 2 are read.
# Behaviour: a Nifti1Image of floating-point classes with the header of the picture that was segmented, whose
# type is int16 as usual, is written in whole numbers over the full range of int16, with a slope and an
# intercept in the header. The arithmetic of reading them again is not exact: get_fdata() gives numbers that
# print as 0., 1., 2., 3. and lie a little below 1, 2 and 3. Compared with ==, none of these is found; cast to
# integers, they are one lower, so that each defect becomes another one and class 1 background. Nothing is
# warned about. Classes of an integer type are written as they are.
# Seen, for float32 and float64: of 128 voxels each of the classes 0 to 3, read and cast to uint8, 256 are of
# class 0, 128 of 1, 128 of 2.
# Expected: the classes that were written; int16 holds them without any scaling.
#
# Exits 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet nibabel==5.4.2 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import nibabel
import numpy as np

classes = np.repeat(np.arange(4.0), 128).reshape(8, 8, 8)
picture = nibabel.Nifti1Image(np.zeros((8, 8, 8), np.int16), np.eye(4))


def read(classes):
    """What is read after the classes were written with the picture's header."""
    nibabel.Nifti1Image(classes, picture.affine, picture.header).to_filename("classes.nii.gz")
    return nibabel.load("classes.nii.gz")


for kind in (np.float32, np.float64, np.int16):
    image = read(classes.astype(kind))
    found = image.get_fdata()
    equal = [int((found == number).sum()) for number in range(4)]
    cast = np.bincount(found.astype(np.uint8).ravel(), minlength=4).tolist()
    print(np.dtype(kind).name, "prints", np.unique(found), "slope", image.dataobj.slope)
    print("   voxels equal to 0, 1, 2, 3:", equal, "after a cast to integers:", cast)
    assert image.get_data_dtype() == np.int16
    if kind is np.int16:
        assert equal == cast == [128] * 4
    else:
        assert np.abs(found - classes).max() < 1e-3
        assert equal == [128, 0, 0, 0] and cast == [256, 128, 128, 0]
print("as described")
PYTHON
