"""From a composed configuration to a plan: facts, a measurement, and what fits the minutes."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import replace

from omegaconf import DictConfig, OmegaConf

from flexunet_exp.commands.plan import budget, facts, lines
from flexunet_exp.commands.plan.budget import Candidate, Measured
from flexunet_exp.commands.plan.facts import Facts
from flexunet_exp.commands.plan.lines import Planned, Split
from flexunet_exp.config import building, compose, validation
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data import splits
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.data.feed.views import Views
from flexunet_exp.data.tiles import Size
from flexunet_exp.system import tensorflow

log = logging.getLogger(__name__)

LARGEST_MEASURED = 512  # pixels a side: the seconds of larger sizes follow from those of this one
HEAVY = ("model", "loss", "optimizer", "schedule", "callbacks")


def plan(cfg: DictConfig, files: Mapping[str, str | None], typed: Collection[str]) -> Planned:
    """The plan of a composed configuration; `files` and `typed` as `Planned` has them.

    Raises InputError where the data cannot be read or show no defect, or nothing fits.
    """
    began = time.perf_counter()
    log.info("Data: %s", cfg.dataset.path)
    scanned = datasets.scanned(cfg)
    split = split_of(cfg, files, typed, scanned)
    dataset = datasets.split_up(cfg, scanned)
    log.info("%s\n", datasets.summary(dataset))
    data, machine = facts.of_data(dataset), facts.of_machine(compose.cache_dir(cfg))
    tried = candidates(cfg, files, typed, data)
    recipe = recipe_of(cfg, typed, data, tried[0])
    cfg.trainer.batch_size = recipe.batch_size
    measured = measurements(cfg, dataset, data, tried[0], typed, began)
    chosen = budget.choose(data, machine, measured, recipe, tried, cfg.minutes)
    return Planned(cfg, files, typed, data, machine, split, chosen, tried[0], recipe, measured)


def recipe_of(
    cfg: DictConfig, typed: Collection[str], data: Facts, first: Candidate
) -> budget.Recipe:
    """The batch and the patches of a picture; a typed batch is kept."""
    batch, per_image = cfg.trainer.batch_size, cfg.dataset.patch.per_image
    if "trainer.batch_size" not in typed:
        draws = data.pictures["train"] * (per_image if first.patch else 1)
        batch = lines.choose_batch(batch, draws)
    return budget.Recipe(batch, per_image)


def split_of(
    cfg: DictConfig, files: Mapping[str, str | None], typed: Collection[str], scanned: Dataset
) -> Split:
    """The split of the plan, which is then that of `cfg`; a typed or given one is kept.

    An option of the split that was typed keeps its file: another one may lack the option.
    """
    merged = splits.with_merged_copies(scanned.table, lambda _: None)
    sources = facts.sources_of(replace(scanned, table=merged))
    name = files["split"] or ""
    if any(key.partition(".")[0] == "split" for key in typed):
        return Split(name, None, lines.TYPED)
    if name != "ratios":
        return Split(name, None, "the folders name the split")
    chosen = lines.choose_split(sources, len(scanned.table), cfg.folds)
    cfg.split = OmegaConf.load(compose.conf_dir() / "split" / f"{chosen.name}.yaml")
    if chosen.folds:
        cfg.split.n = chosen.folds
    return chosen


def candidates(
    cfg: DictConfig, files: Mapping[str, str | None], typed: Collection[str], data: Facts
) -> list[Candidate]:
    """The sizes and augmentations to try, best first; typed ones alone."""
    is_given = "dataset.image_size" in typed
    wanted = budget.wanted_size(data, cfg.model.output_stride)
    first = compose.image_size(cfg) if is_given else wanted
    only = given_views(cfg, files, first) if "augmentation" in typed else None
    return budget.ladder(data, first, smaller=not is_given, only=only)


def given_views(cfg: DictConfig, files: Mapping[str, str | None], size: Size) -> tuple[str, int]:
    """The name of a typed augmentation, and the number of its views.

    Raises InputError where it has endless views.
    """
    transforms = [building.build(node) for node in compose.plain(cfg.augmentation.transforms)]
    views = Views(transforms, size, cfg.augmentation.get("views"), cfg.trainer.seed)
    return files["augmentation"] or "", len(views)


def measurements(
    cfg: DictConfig,
    dataset: Dataset,
    data: Facts,
    first: Candidate,
    typed: Collection[str],
    began: float,
) -> dict[str, Measured]:
    """What a frozen encoder costs, by `model.encoder_trainable`.

    For many pictures, what one costs whose last stages are trained, too.
    """
    from flexunet_exp.evaluation.settings import ScoreSettings
    from flexunet_exp.training.settings import TrainingSettings

    settings = TrainingSettings.from_config(cfg)
    tensorflow.prepare(settings.process)
    validation.check_targets(cfg, HEAVY)
    from flexunet_exp.commands.plan import measuring

    settings.feed.cache_dir.mkdir(parents=True, exist_ok=True)
    side = min(max(first.size), LARGEST_MEASURED)
    seen = first._replace(size=budget.of_longer_side(first.size, side))
    start = time.perf_counter() - began
    found = {}
    for which in encoders(cfg, data, typed):
        log.info("Measuring at %s px, encoder %s …", compose.size_text(seen.size), which)
        one = replace(settings, model={**settings.model, "encoder_trainable": which})
        score = ScoreSettings.from_config(cfg)
        found[which] = measuring.measure(one, score, dataset, seen, start)
    return found


def encoders(cfg: DictConfig, data: Facts, typed: Collection[str]) -> list[str]:
    """The values of `model.encoder_trainable` that are measured."""
    if "model.encoder_trainable" in typed:
        return [cfg.model.encoder_trainable]
    is_many = data.pictures["train"] >= budget.MANY
    return [budget.FROZEN, budget.TRAINED] if is_many else [budget.FROZEN]
