"""python benchmarks/between.py N WORDS…: seconds of N runs in one process, as one line of JSON.

For each run but the first: {"whole": from the end of the run before to its own, "fit": inside
model.fit, "score": inside scoring.score}.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import keras

from flexunet_exp import cli
from flexunet_exp.evaluation import scoring
from flexunet_exp.jobs import job


def timed(spent: dict[str, float], name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """The work, which adds its seconds to those that were `spent` under this name."""

    def run(*arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return work(*arguments, **options)
        finally:
            spent[name] = spent.get(name, 0) + time.perf_counter() - started

    return run


def main() -> None:
    cells, *words = sys.argv[1:]
    spent: dict[str, float] = {}
    ends: list[tuple[float, dict[str, float]]] = []
    write_outcome = job.write_outcome

    def noting(*arguments: Any) -> None:
        write_outcome(*arguments)
        ends.append((time.perf_counter(), dict(spent)))
        spent.clear()

    keras.Model.fit = timed(spent, "fit", keras.Model.fit)
    scoring.score, job.write_outcome = timed(spent, "score", scoring.score), noting
    cli.main(["train", "-m", *words, f"trainer.seed=range({cells})"])
    pairs = zip(ends, ends[1:], strict=False)
    print(json.dumps([{"whole": end - before, **parts} for (before, _), (end, parts) in pairs]))


if __name__ == "__main__":
    main()
