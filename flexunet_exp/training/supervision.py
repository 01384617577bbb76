"""Deep supervision: a training whose loss also counts a network's side outputs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import keras
from omegaconf import OmegaConf

from flexunet_exp.config import compose
from flexunet_exp.errors import InputError
from flexunet_exp.losses.pool import pool_of
from flexunet_exp.models import side_outputs
from flexunet_exp.models.side_outputs import side_outputs_of


@keras.saving.register_keras_serializable(package="flexunet_exp")
class DeeplySupervised(keras.Model):
    """A functional network that also gives its side logits while it is trained.

    In a training step the loss is that of the main logits, plus that of each side output times its
    weight. Scores, validation, predictions and saving see the main logits alone.
    """

    def __init__(
        self,
        inputs: Any,
        outputs: Any,
        sides: Sequence[Any],
        side_weights: Sequence[float],
        **options: Any,
    ):
        super().__init__(inputs, outputs, **options)
        self.side_weights = tuple(side_weights)
        self.in_training = keras.Model(self.inputs, [self.outputs[0], *sides], name="in_training")

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if training:
            return self.in_training(inputs, training=True)
        return super().call(inputs, training=training, mask=mask)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        main, *sides = y_pred if isinstance(y_pred, (list, tuple)) else [y_pred]
        total = super().compute_loss(x, y, main, sample_weight, training)
        for weight, side in zip(self.side_weights, sides, strict=False):
            total += weight * self.loss(y, side)
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        main = y_pred[0] if isinstance(y_pred, (list, tuple)) else y_pred
        return super().compute_metrics(x, y, main, sample_weight)


def supervised(model: keras.Model, weights: float | Sequence[float]) -> DeeplySupervised:
    """The model with a loss for each side output: one weight for all, or one each, finest first.

    Raises InputError where the model has no side outputs, or another number of them.
    """
    known = side_outputs_of(model)
    if known is None:
        raise InputError(
            f"trainer.deep_supervision={typed(weights)}: {model.name} has no side outputs. "
            "Type trainer.deep_supervision=null, or a model that has: "
            f"{', '.join(models_with_side_outputs())}"
        )
    sides = known.make()
    each = [weights] * len(sides) if isinstance(weights, int | float) else list(weights)
    if len(each) != len(sides):
        raise InputError(
            f"trainer.deep_supervision={typed(weights)} has {len(each)} weights; {model.name} has "
            f"{len(sides)} side outputs. Type one number for all of them, or {len(sides)}"
        )
    return DeeplySupervised(model.input, model.output, sides, each, name=model.name)


def models_with_side_outputs() -> list[str]:
    """The choices of `model` whose module names side outputs: those that `conf/model` has."""
    found = []
    for path in sorted((compose.conf_dir() / "model").glob("*.yaml")):
        node = compose.plain(OmegaConf.load(path))
        target = node.get("_target_")  # none for a variant of another model
        if target and uses_side_outputs(import_module(target.rpartition(".")[0])):
            found.append(path.stem)
    return found


def uses_side_outputs(module: ModuleType) -> bool:
    used = vars(module).values()
    return any(getattr(one, "__module__", None) == side_outputs.__name__ for one in used)


def check_loss(loss: keras.losses.Loss) -> None:
    """Raises InputError for a loss that counts over several batches: side logits would join in."""
    if pool_of(loss):
        raise InputError(
            "trainer.deep_supervision computes the loss several times a step, and "
            "loss.pool_batches adds sums of earlier steps. Type loss.pool_batches=1, or "
            "trainer.deep_supervision=null"
        )


def typed(weights: float | Sequence[float]) -> str:
    if isinstance(weights, int | float):
        return str(weights)
    return f"[{','.join(map(str, weights))}]"
