"""python benchmarks/volumes.py SLICES …: memory of `flexunet infer` for volumes of so many slices.

For each number and format, writes a volume of 512 x 512 px of 16 bits, predicts it with the
network of the tests, which needs no TensorFlow, and prints slices a second and the largest memory
of the process's own beyond that before (without pages of mapped files, which the system drops).
"""

from __future__ import annotations

import re
import sys
import tempfile
import threading
from pathlib import Path

import h5py
import nibabel
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flexunet_exp.commands.infer.volumes import VolumeOptions  # noqa: E402
from tests.support.standin import infer  # noqa: E402

SIDE = 512
FORMATS = (".npy", ".nii", ".nii.gz", ".mha", ".h5")


def main() -> None:
    for number in map(int, sys.argv[1:]):
        for suffix in FORMATS:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, f"scan{suffix}")
                save(path, number)
                before = own_memory()
                peak, rate = measured(path, Path(folder, "out"))
                print(f"{number} slices {suffix:7} {rate:.0f} a second, {peak - before:.0f} MB")


def save(path: Path, number: int) -> None:
    """Noise of few values, so that a compressed file is not the measurement."""
    voxels = np.random.default_rng(0).integers(0, 4, (number, SIDE, SIDE), np.int16)
    if path.suffix == ".npy":
        np.save(path, voxels)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("image", data=voxels, chunks=(1, SIDE, SIDE))
    elif path.suffix == ".mha":
        head = f"ObjectType = Image\nNDims = 3\nDimSize = {SIDE} {SIDE} {number}\n"
        head += "ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
        path.write_bytes(head.encode() + voxels.tobytes())
    else:
        nibabel.save(nibabel.Nifti1Image(voxels.T, np.eye(4)), path)


def measured(path: Path, output: Path) -> tuple[float, float]:
    """The largest memory on the way in MB, and slices a second."""
    seen, done = [own_memory()], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            seen.append(own_memory())

    watching = threading.Thread(target=watch)
    watching.start()
    report = infer(path, output, volume=VolumeOptions(video="mp4"))
    done.set()
    watching.join()
    if report.refused:
        raise RuntimeError(report.refused)
    return max(seen), report.slices / report.seconds


def own_memory() -> float:
    """Memory of this process in MB, without the pages of mapped files."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024


if __name__ == "__main__":
    main()
