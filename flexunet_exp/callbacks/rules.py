"""Rules for the arguments of callbacks, by class: the project's classes and Keras's."""

from __future__ import annotations

from flexunet_exp.config.rules import Arguments, count, fraction, share, size

RULES = {
    "EpochImages": Arguments({"num_images": count(6), "every": count(1)}),
    "TiledEpochImages": Arguments(
        {"num_images": count(6), "every": count(1), "tile": size(512), "overlap": share(0.25)}
    ),
    "EarlyStopping": Arguments({"patience": count(20)}),
    "ReduceLROnPlateau": Arguments({"patience": count(8), "factor": fraction(0.5)}),
}
