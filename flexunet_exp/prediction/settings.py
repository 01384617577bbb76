"""`predict.*` and `score.*` of a run, and sentences about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config import compose
from flexunet_exp.prediction.predictor import VIEWS


def predict_settings(cfg: DictConfig, overrides: DictConfig | None = None) -> dict[str, Any]:
    """`predict.*` of a run, and what replaces it."""
    settings = settings_of("predict", cfg, overrides)
    settings["batch_size"] = settings["batch_size"] or cfg.trainer.batch_size
    if settings["tile"] == "auto":
        patch = compose.patch_size(cfg)
        settings["tile"] = list(patch) if patch else "none"
    return settings


def settings_of(
    section: str, cfg: DictConfig, overrides: DictConfig | None = None
) -> dict[str, Any]:
    """`predict.*` or `score.*` of a run (of before there were any: the defaults), and what replaces
    it: whatever is not null in `overrides`."""
    defaults = OmegaConf.load(compose.conf_dir() / section / "default.yaml")
    settings = compose.plain(defaults)
    for part in (cfg.get(section), overrides):
        given = {} if part is None else compose.plain(part)
        settings |= {name: value for name, value in given.items() if value is not None}
    return settings


def report_facts(
    settings: Mapping[str, Any], size: tuple[int, int], score: DictConfig
) -> dict[str, str]:
    """What a report says of how pictures became predictions, and predictions scores."""
    return {
        "prediction": describe(settings, size),
        "found": f"{score.object_overlap:.0%} of a defect predicted as its class",
        "outline": f"matches within {score.boundary_tolerance} px",
    }


def describe(settings: Mapping[str, Any], size: tuple[int, int]) -> str:
    """A sentence for a report: how pictures become predictions."""
    how = told(settings["tile"])
    if tile_size(settings["tile"]):
        how += f" that overlap by {settings['overlap']:.0%}"
    how += f", seen at {size[0]} × {size[1]} px"
    views = len(VIEWS[settings["tta"]])
    return how + (f", the mean of {views} views" if views > 1 else "")


def describe_patches(patch: tuple[int, int], size: tuple[int, int]) -> str:
    """A sentence for the log: what the network is trained on, and how much of it it sees."""
    seen = f"{size[0]} × {size[1]} px"
    what = f"Training on patches of {patch[0]} × {patch[1]} px, which the network sees at {seen}"
    if patch == size:
        return f"{what}: full resolution."
    return f"{what}. Full resolution would be dataset.patch.size={compose.size_text(size)}"


def tile_size(tile: Any) -> tuple[int, int] | None:
    """(height, width) of `predict.tile`; None where a picture is predicted as a whole."""
    return None if tile == "none" else compose.sides(tile)


def told(tile: Any) -> str:
    size = tile_size(tile)
    return f"tiles of {size[0]} × {size[1]} px" if size else "whole pictures"
