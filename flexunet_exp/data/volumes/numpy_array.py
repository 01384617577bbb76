"""An array of NumPy (.npy), from a memory map; nothing is unpickled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from flexunet_exp.data.volumes.volume import Volume, check, write_planes

READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@contextmanager
def opened(path: Path) -> Iterator[Volume]:
    """A volume while it is open."""
    with open(path, "rb") as file:
        shape, _, dtype = READERS[np.lib.format.read_magic(file)](file)
    check(path, shape, dtype)
    yield Volume(path, np.lib.format.open_memmap(path, "r"), write)


def write(part: Path, mask: np.ndarray) -> None:
    """Writes a mask; `open_memmap` would leave holes, which a full disk cannot fill."""
    header = {"descr": "|u1", "fortran_order": False, "shape": mask.shape}
    with open(part, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        write_planes(file, mask)
