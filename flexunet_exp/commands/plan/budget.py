"""Which size, views and epochs fit the minutes: pure functions of facts and measured seconds.

Seconds of networks grow with the pixels that they see: what was measured at one size gives those of
the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from flexunet_exp.commands.plan.facts import Facts, Machine
from flexunet_exp.config.validation.settings import STRIDE
from flexunet_exp.data.tiles import Size
from flexunet_exp.errors import InputError
from flexunet_exp.prediction.kept_logits import MOST_BYTES

# Cells of the decoder's last features that a small defect covers: three by three, one with a
# neighbour at each side. It gives 768 px for pictures of MVTec AD's grid, 544 for its screw.
ENOUGH_CELLS = 9
LEAST_WANTED = 256  # a side: in smaller pictures, the outlines of any defect blur
PATCH = 256  # side of patches of features
# Steps of a batch of 8. A smaller size or fewer views are tried for as many; where nothing reaches
# them, for as many as the next number.
ENOUGH_STEPS = (250, 100, 1)
MOST_EPOCHS = 100  # nothing longer was tried
MANY = 300  # training pictures, from which on a plan measures an encoder that is trained, too
STORE = 20.0  # seconds, not measured here: opening the store, uploading a run and its network
RESERVE = 0.1  # of the minutes, for other processes
VIEWS = {"turns": 8, "flips": 4, "none": 1}  # of each augmentation, for a square picture
FROZEN, TRAINED = "frozen", "last_stages"


@dataclass(frozen=True)
class Measured:
    """Seconds and bytes of this machine; `mpx`: for a million pixels of what the network sees."""

    start: float  # reading the data, building and tracing the network
    view_mpx: float  # a view's features: read, computed, written
    step_mpx: float  # of a training step, its whole batch
    epoch: float  # of an epoch's curves and states, beside steps and validation
    valid_mpx: float  # a validation picture, from its features
    predict_mpx: float  # a picture that is scored, with all its mirrored views
    score: float  # a picture that is scored, beside its prediction
    report: float  # figures and charts of a split
    bytes_mpx: float  # on disk, of a view's features
    memory: float  # bytes that do not depend on the size
    memory_mpx: float


class Candidate(NamedTuple):
    size: Size
    augmentation: str
    views: int

    @property
    def patch(self) -> int | None:
        """The side of the patches of features; None where whole pictures are hardly larger."""
        return PATCH if min(self.size) > PATCH else None

    @property
    def mpx(self) -> float:
        return self.size[0] * self.size[1] / 1e6


@dataclass(frozen=True)
class Recipe:
    """What decides the cost of an epoch beside the size."""

    batch_size: int
    per_image: int  # patches an epoch, for each picture


@dataclass(frozen=True)
class Cost:
    """Seconds of one fold's command, and the space that it needs."""

    start: float
    features: float
    epoch: float
    scoring: float
    steps: int  # an epoch
    disk: float  # bytes
    memory: float  # bytes

    def total(self, epochs: int) -> float:
        """Seconds of the whole command, without the reserve."""
        return self.start + self.features + epochs * self.epoch + self.scoring


@dataclass(frozen=True)
class Chosen:
    candidate: Candidate
    trainable: str
    epochs: int
    cost: Cost


def wanted_size(facts: Facts, output_stride: int) -> Size:
    """The smallest size at which a small defect covers enough cells of the decoder's output.

    Its sides are multiples of 32 in the ratio of the pictures', and not larger than these. The
    longer one is at least 256, where the pictures' is.
    """
    longest = max(STRIDE, max(facts.shape) // STRIDE * STRIDE)
    sides = range(min(LEAST_WANTED, longest), longest + 1, STRIDE)
    sizes = [of_longer_side(facts.shape, side) for side in sides]
    enough = (size for size in sizes if cells(facts, size, output_stride) >= ENOUGH_CELLS)
    return next(enough, sizes[-1])


def of_longer_side(shape: Size, side: int) -> Size:
    """The size with this longer side; the other is the multiple of 32 next to the shape's ratio."""
    height, width = (max(STRIDE, round(own * side / max(shape) / STRIDE) * STRIDE) for own in shape)
    return height, width


def cells(facts: Facts, size: Size, output_stride: int) -> float:
    """Cells of the decoder's output that a small defect covers."""
    share = size[0] * size[1] / (facts.shape[0] * facts.shape[1])
    return facts.small * share / output_stride**2


def ladder(
    facts: Facts, first: Size, smaller: bool = True, only: tuple[str, int] | None = None
) -> list[Candidate]:
    """What is tried, best first: sizes from `first` to its half, and at each fewer views.

    Pictures without another view come last. Without `smaller`, `first` is the only size; `only` is
    the only augmentation, with its views.
    """
    least = max(STRIDE, max(first) // 2)
    sides = range(max(first) - STRIDE, least - 1, -STRIDE) if smaller else ()
    sizes = [first, *(of_longer_side(facts.shape, side) for side in sides)]
    if only:
        return [Candidate(size, *only) for size in sizes]
    moved = [Candidate(size, name, VIEWS[name]) for size in sizes for name in moving(size)]
    return [*moved, *(Candidate(size, "none", VIEWS["none"]) for size in sizes)]


def moving(size: Size) -> tuple[str, ...]:
    """Augmentations that move a picture; quarter turns keep the size of square ones alone."""
    return ("turns", "flips") if size[0] == size[1] else ("flips",)


def cost(facts: Facts, measured: Measured, recipe: Recipe, candidate: Candidate) -> Cost:
    train, valid = facts.pictures["train"], facts.pictures["valid"]
    scored = valid + facts.pictures["test"]
    mpx, patch = candidate.mpx, candidate.patch
    kept = train * candidate.views + valid
    steps = math.ceil(train * (recipe.per_image if patch else 1) / recipe.batch_size)
    seen = recipe.batch_size * (patch**2 / 1e6 if patch else mpx)
    reports = 2 if facts.pictures["test"] else 1
    # Calibration takes two more passes over the validation pictures whose logits are not kept.
    logits = 4e6 * mpx * (len(facts.classes) + 1)  # bytes of a picture
    again = 2 * max(0, valid - math.floor(MOST_BYTES / logits))
    return Cost(
        start=measured.start + STORE,
        features=kept * measured.view_mpx * mpx,
        epoch=steps * measured.step_mpx * seen + valid * measured.valid_mpx * mpx + measured.epoch,
        scoring=(scored + again) * measured.predict_mpx * mpx
        + scored * measured.score
        + reports * measured.report,
        steps=steps,
        disk=kept * measured.bytes_mpx * mpx,
        memory=measured.memory + measured.memory_mpx * mpx,
    )


def epochs_within(cost: Cost, minutes: float) -> int:
    """The epochs that fit, at most MOST_EPOCHS; 0 where none does."""
    left = 60 * minutes * (1 - RESERVE) - cost.total(0)
    return max(0, min(MOST_EPOCHS, math.floor(left / cost.epoch)))


def minutes_for(cost: Cost) -> int:
    """The minutes in which enough steps fit."""
    return math.ceil(cost.total(math.ceil(ENOUGH_STEPS[0] / cost.steps)) / 60 / (1 - RESERVE))


def choose(
    facts: Facts,
    machine: Machine,
    measured: Mapping[str, Measured],
    recipe: Recipe,
    tried: Sequence[Candidate],
    minutes: float,
) -> Chosen:
    """The first candidate with enough steps within the minutes.

    `measured` is by `model.encoder_trainable`; an encoder that is trained is tried at the first
    size alone. Raises InputError where no epoch fits the minutes, or nothing the disk or memory.
    """
    by_encoder = {
        which: [
            Chosen(candidate, which, epochs_within(price, minutes), price)
            for candidate in tried
            for price in [cost(facts, of_encoder, recipe, candidate)]
            if which == FROZEN or len(measured) == 1 or candidate.size == tried[0].size
        ]
        for which, of_encoder in measured.items()
    }
    order = [one for which in sorted(measured, key=FROZEN.__eq__) for one in by_encoder[which]]
    fitting = [one for one in order if fits(one.cost, machine)]
    if not fitting:
        refuse_too_large(min(order, key=lambda one: one.cost.disk), machine)
    for steps in ENOUGH_STEPS:
        for one in fitting:
            if one.epochs * one.cost.steps >= steps:
                return one
    needed = math.ceil(min(one.cost.total(1) for one in fitting) / (1 - RESERVE) / 60)
    raise InputError(
        f"minutes={minutes:g} are too few for a single epoch: one fold takes {needed} on this "
        f"machine at the least, its features and scores included. Type minutes={needed}"
    )


def fits(cost: Cost, machine: Machine) -> bool:
    return cost.disk <= machine.disk and cost.memory <= machine.memory


def refuse_too_large(smallest: Chosen, machine: Machine) -> None:
    needed = smallest.cost
    if needed.disk > machine.disk:
        raise InputError(
            f"The features need at least {needed.disk / 1e9:.1f} GB, {machine.disk / 1e9:.1f} GB "
            "are free. Name another disk, cache_dir=FOLDER, or type flexunet cache prune=30"
        )
    raise InputError(
        f"The training needs at least {needed.memory / 1e9:.1f} GB of memory, "
        f"{machine.memory / 1e9:.1f} GB are free. Type trainer.batch_size=2"
    )
