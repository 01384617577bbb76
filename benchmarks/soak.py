"""python benchmarks/soak.py CSV CELLS MINUTES WORDS…: memory, files and threads of one process.

A sweep trains CELLS runs (`flexunet train -m WORDS…`, one seed each) one after the other, and is
interrupted after MINUTES. Each ended run is a row of CSV: seconds since the start, resident
megabytes, open files, threads. At the end it prints the medians of the second and the last tenth.
"""

from __future__ import annotations

import contextlib
import csv
import os
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from flexunet_exp import cli
from flexunet_exp.jobs import job

PAGE = os.sysconf("SC_PAGE_SIZE") / 1e6


class Row(NamedTuple):
    seconds: float
    megabytes: float
    files: int
    threads: int


def now(started: float) -> Row:
    own = Path("/proc/self")
    pages = int((own / "statm").read_text().split()[1])
    files, threads = (len(list((own / name).iterdir())) for name in ("fd", "task"))
    return Row(round(time.monotonic() - started, 1), round(pages * PAGE, 1), files, threads)


def main() -> None:
    table, cells, minutes, *words = sys.argv[1:]
    started = time.monotonic()
    write_outcome = job.write_outcome
    with open(table, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Row._fields)

        def noting(*arguments) -> None:
            write_outcome(*arguments)
            row = now(started)
            writer.writerow(row)
            file.flush()
            if row.seconds > 60 * float(minutes):
                os.kill(os.getpid(), signal.SIGINT)

        job.write_outcome = noting
        with contextlib.suppress(SystemExit):  # interrupted
            cli.main(["train", "-m", *words, f"trainer.seed=range({cells})"])
    rows = pd.read_csv(table)
    tenth = max(len(rows) // 10, 1)
    early, late = rows[tenth : 2 * tenth].median(), rows[-tenth:].median()
    print(f"{len(rows)} runs in {rows['seconds'].iloc[-1] / 60:.0f} minutes")
    for name in Row._fields[1:]:
        print(f"{name}: {early[name]:.0f} in the second tenth, {late[name]:.0f} in the last")


if __name__ == "__main__":
    main()
