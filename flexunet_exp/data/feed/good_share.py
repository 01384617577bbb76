"""The share of good pictures in an epoch, from what an earlier validation invented on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

ADAPTIVE = "adaptive"
LEAST, START, MOST = 0.1, 0.25, 0.5  # of the draws of an epoch
# The share of pixels, in what shows no defect, of which half a step from LEAST to MOST is made.
HALF = 0.001
# Batches are read ahead of the steps; no more than so many, with the one being read.
AHEAD = 8

ShareOf = Callable[[int], float]  # by the epoch


def after(invented: float) -> float:
    """The share after a validation that took `invented` (0..1) of the good pixels for defects.

    It rises from LEAST, without a false alarm, towards MOST: half of the way at HALF.
    """
    return LEAST + (MOST - LEAST) * invented / (invented + HALF)


def delay(steps: int) -> int:
    """The epochs between a validation and the epoch that it decides, at `steps` an epoch.

    The first batches of an epoch are read before the epoch before it is validated.
    """
    return 1 + math.ceil(AHEAD / steps)


def share_of(epoch: int, invented: Sequence[float], steps: int) -> float:
    """The share of an epoch, from 0, by what each validation so far has invented.

    START where no validation is old enough. Raises LookupError where the one that decides is not
    there yet: batches must not depend on how fast they are read.
    """
    decides = epoch - delay(steps)
    if decides < 0:
        return START
    if decides >= len(invented):
        raise LookupError(f"epoch {epoch} is drawn before the validation of epoch {decides}")
    return after(invented[decides])
