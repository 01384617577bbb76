"""Options of how a network predicts and is judged."""

from __future__ import annotations

from flexunet_exp.config.options.row import SCORES, Option
from flexunet_exp.config.rules import count, flag, number, one_of, or_null, share, size

ROWS = (
    Option(
        "predict.tile",
        "none: pictures are resized as a whole; a side or [height, width]: predicted in tiles of "
        "that size; auto: as trained",
        or_null(size(512, "auto", "none")),
        SCORES,
        minutes=True,
        optional=True,
    ),
    Option(
        "predict.overlap",
        "overlap of neighbouring tiles, as a share of their side",
        or_null(share(0.25)),
        SCORES,
        minutes=True,
        optional=True,
    ),
    Option(
        "predict.tta",
        "averages mirrored views (flips: 4), and turned ones (flips_turns: 8)",
        or_null(one_of("none", "flips", "flips_turns", example="flips")),
        SCORES,
        minutes=True,
        optional=True,
    ),
    Option(
        "predict.batch_size",
        "pictures or tiles at once; null: trainer.batch_size, or fewer for patches of features",
        or_null(count(4)),
        SCORES,
        minutes=True,
        optional=True,
    ),
    Option(
        "predict.precision",
        "number format of predictions",
        or_null(one_of("as_trained", "float32", "mixed_bfloat16")),
        SCORES,
        minutes=True,
        optional=True,
    ),
    Option(
        "predict.calibrated",
        "divides logits by the temperatures that were fitted on the validation pictures of the run",
        or_null(flag()),
        SCORES,
        optional=True,
    ),
    Option(
        "score.object_overlap",
        "share of the pixels of a defect that must be predicted as its class for it to be found",
        or_null(number(lambda value: 0 < value <= 1, "above 0, at most 1", 0.3)),
        SCORES,
        optional=True,
    ),
    Option(
        "score.boundary_tolerance",
        "pixels between a true boundary and a predicted one that still matches",
        or_null(number(lambda value: 0 <= value <= 50, "of pixels from 0 to 50", 3)),
        SCORES,
        optional=True,
    ),
    Option(
        "score.resamples",
        "resamples of the bootstrap over sources",
        or_null(count(1000)),
        SCORES,
        optional=True,
    ),
)
