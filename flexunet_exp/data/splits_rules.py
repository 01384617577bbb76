"""Rules for the arguments of the splits, by function; imports no pandas."""

from __future__ import annotations

from flexunet_exp.config.rules import Arguments, at_least, count, share

SEED = at_least(0, example=0)
CALIBRATION = share(0.2)
RULES = {
    "ratios": Arguments({"seed": SEED, "calibration": CALIBRATION}),
    "folds": Arguments(
        {
            "n": at_least(3, example=5),
            "fold": at_least(0, example=0),
            "seed": SEED,
            "calibration": CALIBRATION,
        }
    ),
    "folders": Arguments({"calibration": CALIBRATION}),
    "memorise": Arguments({"num_images": count(4), "repeats": count(1)}),
}
