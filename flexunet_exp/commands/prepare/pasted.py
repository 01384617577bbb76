"""The defects that variants show beside their own: cut out of training pictures alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flexunet_exp.data.augmentation import PasteDefect, Transform, Used
from flexunet_exp.data.augmentation.pasting import Donors, bound
from flexunet_exp.data.dataset import Dataset, rows
from flexunet_exp.data.splits import SPLITS

DONORS = "train"  # the split whose pictures lend and get defects; those of the others do neither


@dataclass(frozen=True)
class Lineage:
    """The pictures that lend defects, as the manifest calls them."""

    originals: Sequence[str]  # the raw picture of each row of the training split
    sources: Sequence[str]  # the name of its source
    class_names: Sequence[str]

    def told(self, used: Sequence[Used]) -> list[Used]:
        """The transforms, with raw picture and class of each pasted defect, for its numbers."""
        return [one._replace(values=self.named(one.values)) for one in used]

    def named(self, values: Mapping[str, Any]) -> dict[str, Any]:
        if "pasted" not in values:
            return dict(values)
        return {**values, "pasted": [self.origin(one) for one in values["pasted"]]}

    def origin(self, pasted: Mapping[str, Any]) -> dict[str, Any]:
        where = {key: value for key, value in pasted.items() if key not in ("row", "label")}
        label = self.class_names[pasted["label"]]
        return {"original": self.originals[pasted["row"]], "label": label, **where}

    def lenders(self, used: Sequence[Used]) -> list[str]:
        """The sources whose defects were pasted, each once."""
        pasted = [entry for one in used for entry in one.values.get("pasted", ())]
        return sorted({self.sources[entry["row"]] for entry in pasted})


def lineage(dataset: Dataset, raw: Path, named: Mapping[str, str]) -> Lineage:
    """Of the training split of a data set in the folder `raw`; `named`: source → its name."""
    split = dataset.split(DONORS)
    originals = [Path(image).relative_to(raw).as_posix() for image in split["image"]]
    sources = [named[str(source)] for source in split["source"]]
    return Lineage(originals, sources, dataset.class_names)


def transforms_of(
    transforms: Sequence[Transform], dataset: Dataset, size: tuple[int, int] | None, balanced: bool
) -> dict[str, Sequence[Transform]]:
    """The transforms of each split: `PasteDefect` pastes nothing into valid and test.

    `size` (height, width) is that at which defects are pasted, None each picture's own.
    """
    found: dict[str, Sequence[Transform]] = dict.fromkeys(SPLITS, transforms)
    if any(isinstance(one, PasteDefect) for one in transforms):
        samples = list(rows(dataset.split(DONORS)))
        shows = dataset.pixels[(dataset.table["split"] == DONORS).to_numpy()] > 0
        donors = Donors(lambda row: dataset.read(samples[row], size), shows, balanced)
        found[DONORS] = bound(transforms, donors)
    return found
