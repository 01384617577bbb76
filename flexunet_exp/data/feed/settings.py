"""The settings that decide the batches of a training, as one object."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from flexunet_exp.config import compose

if TYPE_CHECKING:
    from flexunet_exp.data.tiles import Size


@dataclass(frozen=True)
class FeedSettings:
    """How pictures are read, drawn, changed and put together."""

    size: Size  # (height, width) of what the network takes
    patch: Size | None  # of the pictures' own pixels; None where whole pictures are trained on
    foreground: float  # share of patches around a pixel of a defect
    per_image: int  # patches an epoch, for each picture
    sampling: str
    good_share: float | str | None  # a share, or `adaptive`
    transforms: tuple[dict[str, Any], ...]  # of the augmentation, as `building.build` takes them
    views: int | None  # of each picture, where features are kept; None: what flips and turns give
    feature_type: str  # of kept features: float16, bfloat16, float32
    cache_limit: float  # GB that kept features of one training may take
    feature_patch: Size | None  # of kept features, in the network's pixels; None: whole pictures
    cache: str
    cache_dir: Path
    batch_size: int
    valid_batch_size: int  # of validation, so that its loss does not depend on batch_size
    epochs: int
    seed: int

    @classmethod
    def from_config(cls, cfg: DictConfig) -> FeedSettings:
        dataset, trainer = cfg.dataset, cfg.trainer
        return cls(
            size=compose.image_size(cfg),
            patch=compose.patch_size(cfg),
            foreground=dataset.patch.foreground,
            per_image=dataset.patch.per_image,
            sampling=dataset.sampling,
            good_share=dataset.good_share,
            transforms=tuple(compose.plain(cfg.augmentation.transforms)),
            views=cfg.augmentation.get("views"),
            feature_type=dataset.get("feature_type", "float16"),
            cache_limit=dataset.get("cache_limit", 10),
            feature_patch=compose.feature_patch(cfg),
            cache=dataset.cache,
            cache_dir=compose.cache_dir(cfg),
            batch_size=trainer.batch_size,
            valid_batch_size=trainer.valid_batch_size,
            epochs=trainer.epochs,
            seed=trainer.seed,
        )
