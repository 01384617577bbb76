"""From a folder of pictures to the record of its scan: one class a folder layout.

A layout has two methods. `scan(folder, view)` gives the ScanRecord of all that was found and all
that is wrong. `read_mask(sample)` gives the index mask of a row of the record's table; the row's
mask file and label and the layout's arguments alone decide it. Pictures and masks are paired by
relative path and stem, never by position.
"""

from flexunet_exp.data.layouts.annotated import Annotated
from flexunet_exp.data.layouts.generated import Synthetic
from flexunet_exp.data.layouts.image_mask import ImageMask, parse_name
from flexunet_exp.data.layouts.layout import GOOD_FOLDERS, Layout
from flexunet_exp.data.layouts.mvtec import MVTec

__all__ = ["GOOD_FOLDERS", "Annotated", "ImageMask", "Layout", "MVTec", "Synthetic", "parse_name"]
