"""python benchmarks/cells.py N WORDS…: resident megabytes after each of N tiny runs in one process,
as one line of JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from flexunet_exp import cli
from flexunet_exp.jobs import job


def resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    cells, *words = sys.argv[1:]
    memory = []
    write_outcome = job.write_outcome

    def noting(*arguments) -> None:
        write_outcome(*arguments)
        memory.append(resident_megabytes())

    job.write_outcome = noting
    cli.main(["train", "-m", *words, f"trainer.seed=range({cells})"])
    print(json.dumps(memory))


if __name__ == "__main__":
    main()
