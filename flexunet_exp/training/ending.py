"""The last lines of a training: when it stopped and why, and which epoch was kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import keras

from flexunet_exp.callbacks.configured import BestCheckpoint, StopFile

Callbacks = Mapping[str, keras.callbacks.Callback]  # by name


def why(epoch: int, epochs: int, callbacks: Callbacks) -> str:
    """When a training of at most `epochs` stopped, and why; `epoch` counts from 0."""
    ending = [name for name, one in callbacks.items() if has_stopped(one, epoch)]
    when = f"stopped after epoch {epoch + 1} of {epochs}"
    if any(isinstance(callbacks[name], StopFile) for name in ending):
        return f"{when}: a file STOP was in the run folder."
    if epoch + 1 == epochs:
        return f"all {epochs} epochs are done." if epochs > 1 else "its one epoch is done."
    if not ending:
        return f"{when}: a callback ended it."
    early = callbacks[ending[0]]
    return (
        f"{when}: no better {early.monitor} since epoch {early.best_epoch + 1} "
        f"(callbacks.{ending[0]}.patience={early.patience})."
    )


def has_stopped(callback: keras.callbacks.Callback, epoch: int) -> bool:
    """Whether this callback ended the training after this epoch."""
    ends = isinstance(callback, StopFile | keras.callbacks.EarlyStopping)
    return ends and callback.model.stop_training and callback.stopped_epoch == epoch


def chosen(epoch: int, callbacks: Iterable[keras.callbacks.Callback], bar: float) -> str:
    """Which epoch is kept; `epoch` is the last one, and `bar` what the Dice of one must exceed."""
    choosing = [one for one in callbacks if isinstance(one, BestCheckpoint)]
    for best in choosing:
        if best.epoch is not None:
            value = best.sign * best.best
            return f"epoch {best.epoch + 1}, with the best {best.monitor}, {value:.4f}."
    if choosing:
        return (
            f"the last epoch, {epoch + 1}. No epoch's val_dice exceeded {bar:.4f}, "
            "the mean over the classes of what painting every pixel as the class scores."
        )
    return f"the last epoch, {epoch + 1}: no callback chose a best one."
