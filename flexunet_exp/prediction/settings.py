"""`predict.*` of a run as one object, and sentences that describe it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from flexunet_exp.config import compose

if TYPE_CHECKING:
    from flexunet_exp.data.tiles import Size

MOST_PIXELS = 2**20  # that are predicted at once, where a step has patches of features


@dataclass(frozen=True)
class PredictSettings:
    """How the pictures of a run become predictions."""

    size: Size  # (height, width) of what the network takes
    tile: Any  # as it is typed: "none", a number or (height, width); never "auto"
    overlap: float
    tta: str
    batch_size: int  # pictures or tiles at once
    precision: str
    calibrated: bool = False  # whether logits are divided by the run's temperatures

    @classmethod
    def from_config(
        cls, cfg: DictConfig, overrides: Mapping[str, Any] | None = None
    ) -> PredictSettings:
        """`predict.*` of the run configured by `cfg`, with `overrides` in place of its values."""
        given = compose.section_or_default("predict", cfg, overrides)
        if given["tile"] == "auto":
            patch = compose.patch_size(cfg)
            given["tile"] = list(patch) if patch else "none"
        given["batch_size"] = given["batch_size"] or size_of_batch(cfg)
        return cls(compose.image_size(cfg), **given)

    @property
    def tile_size(self) -> Size | None:
        """(height, width) in a picture's own pixels; None where it is predicted as a whole."""
        return None if self.tile == "none" else compose.sides(self.tile)

    def decisive(self) -> dict[str, Any]:
        """The options that change the probabilities of a network's picture."""
        return {name: getattr(self, name) for name in ("tile", "overlap", "tta", "precision")}

    @property
    def parts(self) -> str:
        """In words, the part of a picture that is predicted at once."""
        size = self.tile_size
        return f"tiles of {size[0]} × {size[1]} px" if size else "whole pictures"

    def describe(self) -> str:
        """A sentence for a report: how pictures become predictions."""
        from flexunet_exp.prediction.predictor import VIEWS  # imports OpenCV

        how = self.parts
        if self.tile_size:
            how += f" that overlap by {self.overlap:.0%}"
        how += f", seen at {self.size[0]} × {self.size[1]} px"
        views = len(VIEWS[self.tta])
        how += f", the mean of {views} views" if views > 1 else ""
        return how + (", calibrated" if self.calibrated else "")


def describe_patches(patch: tuple[int, int], size: tuple[int, int]) -> str:
    """A sentence for the log: the patches of the training, and the size the network sees."""
    seen = f"{size[0]} × {size[1]} px"
    what = f"Training on patches of {patch[0]} × {patch[1]} px, which the network sees at {seen}"
    if patch == size:
        return f"{what}: full resolution."
    return f"{what}. Full resolution would be dataset.patch.size={compose.size_text(size)}"


def size_of_batch(cfg: DictConfig) -> int:
    """As many pictures or tiles at once as a training step has; auto as long as that is not known.

    After steps on patches of features, which are predicted as whole pictures, at most MOST_PIXELS.
    """
    number = cfg.trainer.batch_size
    if number == "auto" or compose.feature_patch(cfg) is None:
        return number
    return max(1, min(number, MOST_PIXELS // math.prod(compose.image_size(cfg))))
