"""A row of the manifest of a prepared data set."""

from __future__ import annotations

from typing import NamedTuple

from flexunet_exp.data.sets.staging import Kind


class Picture(NamedTuple):
    """A row of the manifest; its first columns are those of a sample table."""

    image: str
    mask: str
    label: str  # the most frequent defect class in the mask; `good` if a crop removed the defect
    source: str
    variant: str
    split: str
    width: int
    height: int
    sha256: str
    mask_sha256: str
    defect_pixels: int
    original: str  # the raw picture, below the folder that was read
    parameters: str  # JSON: the transforms that fired, in their order, and what each drew
    pasted_from: str  # JSON: the sources whose defects were pasted into it


PREPARED = Kind("flexunet prepare", "prepared.json", Picture)
