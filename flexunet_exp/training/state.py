"""The state of a training: all that decides how it goes on, written whole or not at all.

One file holds NumPy arrays in a row: a JSON text with the numbers and words, then the variables of
the network and its optimizer. Keras's own files lack the states of dropout's generators and of the
callbacks, so a training that goes on from them has other weights.
"""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import keras
import numpy as np

from flexunet_exp.callbacks.qualifying import bar, qualifies, validated_pixels
from flexunet_exp.errors import Hopeless
from flexunet_exp.losses.pool import pool_of
from flexunet_exp.models.files import save_model
from flexunet_exp.runs.claims import STATE, read_json
from flexunet_exp.system.files import rewritten, whole_or_nothing
from flexunet_exp.tracking.tracker import Tracker
from flexunet_exp.training import ending

log = logging.getLogger(__name__)

LAST = "last_state"  # in the run folder: the state after the last epoch, if it is kept

# Not kept: fit sets the first two, and Keras changes the sign of the third when it first needs it.
OF_KERAS = ("params", "_model", "min_delta")


@dataclass
class Progress:
    """How far a run has come: `epochs` done, `fitted` after the last, `figures` once scored."""

    epochs: int = 0
    fitted: bool = False
    best_dice: float = 0.0
    learned: bool = False  # whether an epoch has qualified as the best one
    ended: str = ""  # when the training stopped and why, once it is fitted
    chosen: str = ""  # the epoch whose weights are kept, once it is fitted
    figures: dict[str, float] | None = None
    callbacks: dict[str, dict[str, Any]] = field(default_factory=dict)
    generators: dict[str, Any] = field(default_factory=dict)
    journal: int = 0  # the length of the outbox, in bytes
    arrays: int = 0  # that follow in the file
    parent: str = ""  # the finished run from whose last state this one went on


class Keeper:
    """Writes and reads the state of one run, in the folder `resume` of its run folder."""

    def __init__(self, folder: Path, tracker: Tracker):
        self.folder, self.tracker = folder, tracker
        self.best = folder.parent / "best.keras"
        self.spare = folder / "spare.npy"

    def read(self) -> Progress:
        """Reads the progress, and puts best.keras and the outbox back to it; 0 epochs if new."""
        progress = self.progress()
        self.best.unlink(missing_ok=True)  # it may be of a later epoch, which is trained again
        name_twice(self.kept_best(progress), self.best)
        self.tracker.rewind(progress.journal)
        return progress

    def progress(self) -> Progress:
        try:
            with open(self.folder / STATE, "rb") as file:
                progress = Progress(**read_json(file))
                for _ in range(progress.arrays):
                    np.load(file, allow_pickle=False)
                return progress
        except FileNotFoundError:
            return Progress()
        except (EOFError, ValueError, TypeError) as error:
            raise Hopeless(
                f"{self.folder / STATE} is damaged ({error}), so this run cannot go on. The same "
                "command now begins a new one."
            ) from error

    def kept_best(self, progress: Progress) -> Path:
        return self.folder / f"best_{progress.epochs}.keras"

    def write(self, progress: Progress, variables: Sequence[Any] = ()) -> None:
        """Commits the outbox and replaces the state in one step.

        The outbox may be uploaded after this and not before: the store must not receive an entry
        that a resumed run would report again.
        """
        progress.journal, progress.arrays = self.tracker.commit(), len(variables)
        name_twice(self.best, self.kept_best(progress))
        write_state(self.folder / STATE, self.spare, progress, variables)
        for path in self.folder.glob("best_*.keras"):
            if path != self.kept_best(progress):
                path.unlink()

    def keep_last(self, progress: Progress, variables: Sequence[Any]) -> None:
        """Keeps the state after the last epoch, from which a run of more epochs goes on."""
        folder = self.best.parent / LAST
        folder.mkdir(exist_ok=True)
        name_twice(self.best, folder / self.best.name)
        begun = replace(progress, fitted=False, journal=0, arrays=len(variables))
        write_state(folder / STATE, self.spare, begun, variables)

    def choose_best(self, model: keras.Model) -> None:
        """Writes best.keras from the present network where no callback has."""
        if not self.best.exists():
            save_model(model, self.best)

    def restore(self, model: keras.Model) -> None:
        """Gives the network and its optimizer the values of the state."""
        with open(self.folder / STATE, "rb") as file:
            read_json(file)
            for variable in variables_of(model):
                variable.assign(np.load(file, allow_pickle=False))


class KeepState(keras.callbacks.Callback):
    """Restores a resumed training from its state, and writes the state every `every` epochs.

    It is the last callback, so that the state has what the others did in an epoch; `others` are
    those callbacks by name. With `keep_last` it also keeps the state after the last epoch.
    """

    def __init__(
        self,
        keeper: Keeper,
        progress: Progress,
        others: Mapping[str, keras.callbacks.Callback],
        every: int,
        epochs: int,
        keep_last: bool = False,
    ):
        super().__init__()
        self.keeper, self.progress, self.others = keeper, progress, others
        self.every, self.epochs, self.keep_last = every, epochs, keep_last
        self.fresh = {name: plain_attributes(callback) for name, callback in others.items()}

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        if self.progress.epochs:
            self.keeper.restore(self.model)
            for name, callback in self.others.items():
                vars(callback).update(self.progress.callbacks.get(name, {}))
            restore_generators(self.progress.generators)

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        progress = self.progress
        progress.epochs = epoch + 1
        progress.best_dice = max(progress.best_dice, float((logs or {})["val_dice"]))
        progress.learned = progress.learned or qualifies(self.model, logs)
        progress.fitted = self.model.stop_training or progress.epochs == self.epochs
        self.kept = progress.fitted or progress.epochs % self.every == 0
        if progress.fitted:  # from here on only the best epoch's network is needed
            if self.keep_last and not self.model.stop_training:  # else more epochs change nothing
                self.keeper.keep_last(self.remembered(), variables_of(self.model))
            progress.ended = ending.why(epoch, self.epochs, self.others)
            least = bar(validated_pixels(self.model))
            progress.chosen = ending.chosen(epoch, self.others.values(), least)
            self.keeper.choose_best(self.model)
            self.keeper.write(progress)
        elif self.kept:
            self.keeper.write(self.remembered(), variables_of(self.model))

    def remembered(self) -> Progress:
        """The progress, with what the callbacks and the generators remember now."""
        self.progress.callbacks = {name: self.changes(name) for name in self.others}
        self.progress.generators = generators()
        return self.progress

    def changes(self, name: str) -> dict[str, Any]:
        """The attributes of a callback that differ from those before the training."""
        fresh = self.fresh[name]
        attributes = plain_attributes(self.others[name])
        return {key: value for key, value in attributes.items() if fresh.get(key, ...) != value}


class Upload(keras.callbacks.Callback):
    """Uploads the outbox after each state: a resumed run does not report those entries again.

    The next epoch is trained meanwhile. After the first step it uploads how the run began. The
    first step does not wait for MLflow, whose import takes seconds.
    """

    def __init__(self, tracker: Tracker, keep_state: KeepState):
        super().__init__()
        self.tracker, self.keep_state = tracker, keep_state
        self.has_sent = tracker.has_store

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        if not self.has_sent:
            self.has_sent = True
            self.tracker.upload()

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        if self.keep_state.kept:
            self.tracker.upload_in_background()


def variables_of(model: keras.Model) -> list[Any]:
    """Weights, the states of the network's random generators, the optimizer's variables, and the
    sums that a loss keeps of the last batches."""
    pool = pool_of(model.loss)
    return [*model.variables, *model.optimizer.variables, *(pool.variables if pool else ())]


def view(variable: Any) -> np.ndarray:
    """A variable's values without a copy, which takes half a gigabyte for the original network."""
    return np.asarray(memoryview(variable.value.read_value()))


def plain_attributes(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """The attributes that are numbers, words, or lists and mappings of them."""
    attributes = {name: plain(value) for name, value in vars(callback).items()}
    return {
        name: value
        for name, value in attributes.items()
        if value is not ... and name not in OF_KERAS
    }


def plain(value: Any) -> Any:
    """The value as JSON can hold it, exactly; `...` where it cannot."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        items = [plain(item) for item in value]
        return ... if ... in items else items
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        entries = {key: plain(item) for key, item in value.items()}
        return ... if ... in entries.values() else entries
    return ...


def generators() -> dict[str, Any]:
    """The state of Python's and NumPy's global generators, which a callback may draw from."""
    _, words, *rest = np.random.get_state()
    return {"python": random.getstate(), "numpy": ["MT19937", np.asarray(words).tolist(), *rest]}


def restore_generators(state: Mapping[str, Any]) -> None:
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    np.random.set_state(tuple(state["numpy"]))


def write_state(path: Path, spare: Path, progress: Progress, variables: Sequence[Any]) -> None:
    """Replaces a state in one step; the former one becomes the spare file, for the next."""
    with rewritten(path, spare) as file:
        write_json(file, asdict(progress))
        for variable in variables:
            np.save(file, view(variable), allow_pickle=False)


def name_twice(path: Path, second: Path) -> None:
    """Gives a file a second name, under which it stays when the first name gets a new file."""
    if not path.exists():
        return
    with whole_or_nothing(second) as part:
        try:
            os.link(path, part)
        except OSError:  # a file system without hard links
            shutil.copyfile(path, part)


def write_json(file: IO[bytes], content: Any) -> None:
    np.save(file, np.frombuffer(json.dumps(content).encode(), np.uint8), allow_pickle=False)
