"""A row of the manifest of an imported data set."""

from __future__ import annotations

from typing import NamedTuple

from flexunet_exp.data.sets.staging import Kind


class Picture(NamedTuple):
    """A picture and its mask; its first columns are those of a sample table."""

    image: str
    mask: str
    label: str  # the most frequent defect class in the mask, or good
    source: str  # the physical part: its pictures never cross splits
    variant: str
    split: str
    given_split: str  # that of the export, empty where it has none
    width: int
    height: int
    sha256: str
    mask_sha256: str
    defect_pixels: int
    original: str  # what the annotations call the picture
    objects: str  # JSON: the objects of each label that were drawn
    losses: str  # JSON: sentences on objects that are not, or not fully, in the mask
    area: float  # of polygons, by their coordinates
    area_drawn: int  # of the same polygons, in pixels
    pixels: str  # JSON: the pixels of each class


IMPORTED = Kind("flexunet import", "imported.json", Picture)
