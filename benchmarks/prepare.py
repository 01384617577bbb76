"""python benchmarks/prepare.py FOLDER NAME VARIANTS AUGMENTATION [WORKERS…]: costs of preparing.

FOLDER is the raw MVTec AD folder of the category NAME. Prints for each number of workers (1 and 2)
pictures a second, processor time a picture, memory at a tenth of the pictures and at the end, and
whether all wrote the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZE = 512


def main() -> None:
    raw, name, variants, augmentation, *workers = sys.argv[1:]
    words = [f"dataset={name}", f"input={Path(raw).absolute()}", f"variants={variants}"]
    words += [f"augmentation={augmentation}", f"dataset.image_size={SIZE}"]
    digests = set()
    with tempfile.TemporaryDirectory() as folder:
        for number in workers or ["1", "2"]:
            output = Path(folder) / number
            print(f"{name}, {variants} variants, {augmentation}, workers={number}:", end=" ")
            print(measured(output, [*words, f"workers={number}", f"output={output}"]), flush=True)
            digests.add(digest(output))
    print("All bytes equal." if len(digests) == 1 else "THE BYTES DIFFER.")


def measured(output: Path, words: list[str]) -> str:
    command = [sys.executable, "-m", "flexunet_exp", "prepare", *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    memory = watched(process, output.with_name(f".{output.name}.preparing") / "set")
    began, ended = min(memory), max(memory)
    number = len(list(output.glob("*/images/*.png")))
    tenth = min(done for done in memory if done >= number / 10)
    seconds = memory[ended][0] - memory[began][0]
    spent = memory[ended][2] - memory[began][2]
    megabytes = sum(path.stat().st_size for path in output.rglob("*.png")) / 1e6
    return (
        f"{number} pictures, {(ended - began) / seconds:.1f} a second, "
        f"{1e3 * spent / (ended - began):.1f} ms of processor each, "
        f"{memory[tenth][1]:.0f} MB at {tenth}, {memory[ended][1]:.0f} MB at {ended}, "
        f"{megabytes:.0f} MB written; load {os.getloadavg()[0]:.1f}"
    )


def watched(process: subprocess.Popen, made: Path) -> dict[int, tuple[float, float, float]]:
    """Pictures made → seconds on the clock, resident megabytes, seconds of processor."""
    memory: dict[int, tuple[float, float, float]] = {}
    while process.poll() is None:
        done = len(list(made.glob("*/masks/[!.]*")))
        now = time.perf_counter()
        if done and (figures := of_process(process.pid)):
            memory.setdefault(done, (now, *figures))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(process.returncode)
    return memory


def of_process(pid: int) -> tuple[float, float] | None:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    except (OSError, IndexError):
        return None
    seconds = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, seconds


def digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            total.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return total.hexdigest()


if __name__ == "__main__":
    main()
