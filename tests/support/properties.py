"""How many inputs a property test takes: its own number, ten times as many in `make test-all`."""

from __future__ import annotations

import os

import hypothesis

FACTOR = int(os.environ.get("FLEXUNET_TEST_EXAMPLES", "1"))


def examples(number: int) -> hypothesis.settings:
    """The settings of a property test with `number` inputs in `make test`."""
    return hypothesis.settings(max_examples=number * FACTOR, deadline=None)
