"""Makes the original and the variants of each source, as a pure function of the source."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flexunet_exp.commands.prepare import names
from flexunet_exp.commands.prepare.pasted import Lineage
from flexunet_exp.commands.prepare.rows import Picture
from flexunet_exp.data.augmentation import Pair, Transform, Used, traced
from flexunet_exp.data.class_pixels import count_pixels
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.data.layouts import GOOD_FOLDERS
from flexunet_exp.data.sets.encoding import Encoded
from flexunet_exp.data.splits import GOOD
from flexunet_exp.errors import Hopeless
from flexunet_exp.system.files import replace_file

IN_VAIN = 50  # draws in a row without a new picture: no other one is expected


class View(NamedTuple):
    """A raw picture as it is (`number` 0) or as drawn, with its mask."""

    row: Any
    number: int
    used: list[Used]
    mask: np.ndarray
    files: Encoded


class Source(NamedTuple):
    """A raw picture, and its copies if it has any."""

    name: str
    split: str
    rows: list[Any]


@dataclass(frozen=True)
class Maker:
    """Makes the files of one source after the other in `folder`; threads may call it.

    `raw` is the folder the rows were scanned in, `size` (height, width) or each picture's own;
    `transforms` are those of each split, `lineage` the pictures whose defects they paste.
    """

    dataset: Dataset
    raw: Path
    folder: Path
    transforms: Mapping[str, Sequence[Transform]]
    lineage: Lineage
    size: tuple[int, int] | None
    variants: int
    augment_splits: Sequence[str]
    seed: int

    def __call__(self, source: Source) -> list[Picture]:
        wanted = self.variants if source.split in self.augment_splits else 1
        seen: set[tuple[str, str]] = set()
        views = (view for row in source.rows for view in self.new(row, wanted, seen))
        return [self.write(source, place, view) for place, view in enumerate(views)]

    def new(self, row: Any, wanted: int, seen: set) -> Iterator[View]:
        """The `wanted` first views of a raw picture that are not in `seen`; none of a copy."""
        in_vain = made = 0
        for view in self.views(row):
            key = view.files.sha256, view.files.mask_sha256
            if key in seen and view.number == 0:
                return
            in_vain = in_vain + 1 if key in seen else 0
            if in_vain == IN_VAIN:
                raise Hopeless(
                    f"{row.image}: only {made} different pictures for variants={self.variants}; "
                    f"the last {IN_VAIN} draws made no new one. Choose fewer variants, or an "
                    "augmentation with more transforms, such as augmentation=standard"
                )
            if not in_vain:
                seen.add(key)
                made += 1
                yield view
            if made == wanted:
                return

    def views(self, row: Any) -> Iterator[View]:
        """The picture unchanged, then endless random variants of it.

        It is resized first, as in training.
        """
        image, mask = self.dataset.read(row, self.size)
        yield self.view(row, 0, (image, mask), [])
        stable = int.from_bytes(hashlib.sha256(self.original(row).encode()).digest()[:8])
        for number in itertools.count(1):
            key = (self.seed, stable, number)
            pair, used = traced(self.transforms[row.split], image, mask, key)
            yield self.view(row, number, pair, used)

    def view(self, row: Any, number: int, pair: Pair, used: list[Used]) -> View:
        return View(row, number, used, pair[1], Encoded.of(*pair, self.dataset.palette))

    def original(self, row: Any) -> str:
        return Path(row.image).relative_to(self.raw).as_posix()

    def write(self, source: Source, place: int, view: View) -> Picture:
        """Writes the files of a source's picture number `place`."""
        room = names.MOST - len(source.name.encode())
        variant = names.of_variant(place, view.used, room) if place else "original"
        file = f"{names.of_picture(variant, source.name, self.known_names())}.png"
        image, mask = (f"{source.split}/{kind}/{file}" for kind in ("images", "masks"))
        replace_file(self.folder / image, view.files.image)
        replace_file(self.folder / mask, view.files.mask)
        pixels = count_pixels(view.mask, self.dataset.num_classes)[1:]
        return Picture(
            image=image,
            mask=mask,
            label=self.dataset.class_names[1 + pixels.argmax()] if pixels.any() else GOOD,
            source=source.name,
            variant=variant,
            split=source.split,
            width=view.mask.shape[1],
            height=view.mask.shape[0],
            sha256=view.files.sha256,
            mask_sha256=view.files.mask_sha256,
            defect_pixels=int(pixels.sum()),
            original=self.original(view.row),
            parameters=json.dumps(self.lineage.told(view.used)),
            pasted_from=json.dumps(self.lineage.lenders(view.used)),
        )

    def known_names(self) -> list[str]:
        return [*self.dataset.class_names[1:], *GOOD_FOLDERS["all"].values()]
