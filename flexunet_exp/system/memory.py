"""The memory of this process and of the machine, in bytes."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

UNIT = 1024 if sys.platform != "darwin" else 1  # bytes, of the peak that the system reports
CGROUPS = Path("/sys/fs/cgroup")
FORGET_PEAK = "5"  # to /proc/self/clear_refs: see proc(5)


def resident() -> int:
    """What this process takes now, without what its C library keeps for later."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return peak()
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """The most that this process has taken since it began, or since `forget_peak`."""
    # Not of getrusage where it can be helped: that has the peak of the starting process, too.
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(one.split()[1]) for one in lines if one.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def forget_peak() -> None:
    """Counts `peak` from now on, where the system can: a process may do several runs."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text(FORGET_PEAK)


def total() -> int:
    """What a process can have at most: the machine's memory, or less where its group is limited."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *(limit for limit, _ in limits(CGROUPS))])


def free() -> int:
    """What a new process can have now; all of the machine's where that is unknown."""
    return min([available(), *(max(0, limit - used) for limit, used in limits(CGROUPS))])


def available() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * next(int(one.split()[1]) for one in lines if one.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def limits(root: Path) -> Iterator[tuple[int, int]]:
    """Limit and use of each control group around this process that has a limit.

    `root` is where they are mounted; of version 2 (memory.max) or 1 (memory/…limit_in_bytes). Pages
    of files that the system can drop do not count as used.
    """
    for folder in groups(root):
        for limit, used in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            with suppress(OSError, ValueError):  # not there, or "max"
                allowed = int((folder / limit).read_text())
                yield allowed, int((folder / used).read_text()) - droppable(folder)


def droppable(folder: Path) -> int:
    lines = (folder / "memory.stat").read_text().splitlines()
    return next(int(one.split()[1]) for one in lines if one.startswith("inactive_file"))


def groups(root: Path) -> Iterator[Path]:
    """The folders of this process's control groups and of those around them."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            own = Path(path.lstrip("/"))
            yield from (root / controllers / part for part in (own, *own.parents))


def of_gpus() -> int | None:
    """The memory of the smallest GPU that this process may use; None where that is unknown."""
    which = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    words = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    words += [f"--id={which}"] if which else []
    try:
        told = subprocess.run(words, capture_output=True, text=True, check=True, timeout=10).stdout
        return min(int(line) for line in told.splitlines()) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
