"""Generated pictures in the MVTec AD layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from flexunet_exp.data.channels import Channels
from flexunet_exp.data.known_files import KnownFiles
from flexunet_exp.data.layouts.mvtec import MVTec
from flexunet_exp.data.scan_record import NetworkView, ScanRecord


class Synthetic(MVTec):
    """Generated pictures in the MVTec AD layout; the first scan draws them, all scans read them.

    `images_per_class` defect pictures of each class and `good_images` defect-free ones, `size`
    pixels a side, of the category `name`.
    """

    def __init__(
        self,
        classes: Sequence[Mapping],
        good: str = "test",
        *,
        name: str,
        images_per_class: int,
        good_images: int,
        size: int,
        seed: int,
        inverted: str = "error",
    ):
        super().__init__(classes, good, inverted=inverted)
        self.name, self.size, self.seed = name, size, seed
        self.images_per_class, self.good_images = images_per_class, good_images

    def _scan(
        self, folder: Path, view: NetworkView | None, channels: Channels, kept: KnownFiles
    ) -> ScanRecord:
        """Draws the pictures into `folder` first, unless they are there."""
        from flexunet_exp.data import synthetic

        synthetic.generate(
            folder,
            self.name,
            images_per_class=self.images_per_class,
            good=self.good_images,
            size=self.size,
            seed=self.seed,
        )
        return super()._scan(folder, view, channels, kept)
