"""Pictures of zippers, grids and screws drawn from random numbers, with exact defect masks.

They replace MVTec AD where nothing may be downloaded: same folder layout, same class names.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flexunet_exp.data.synthetic import grid, screw, texture, zipper
from flexunet_exp.errors import InputError, did_you_mean

VERSION = 1
"""Raise this whenever the same parameters draw other pictures."""

CLASSES: dict[str, tuple[str, ...]] = {
    "zipper": tuple(zipper.CLASSES),
    "grid": tuple(grid.CLASSES),
    "screw": tuple(screw.CLASSES),
}
_DRAW = {"zipper": zipper.draw, "grid": grid.draw, "screw": screw.draw}
_CONTRAST = {"zipper": 7.0, "grid": 12.0, "screw": 12.0}
_RECORD_FILE = "synthetic.json"
_Record = dict[str, str | int]


@dataclass(frozen=True)
class _Job:
    defect: str | None
    scene: int
    image: str
    mask: str | None


def generate(
    folder: Path,
    name: str,
    *,
    images_per_class: int,
    good: int,
    size: int,
    seed: int,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Draw the category `name` into `folder`, in the raw MVTec layout, and return the folder.

    Writes RGB PNGs `size` × `size` and masks of 0 and 255, all at once or not at all; half of the
    `good` pictures go to train/good. A folder that already holds the same set is not changed.
    Every picture depends on its category, class, number, seed and size only. `progress` is called
    with (pictures done, all pictures). Raises InputError for bad parameters and for a folder that
    holds anything else.
    """
    counts = {"images_per_class": images_per_class, "good": good, "size": size, "seed": seed}
    _check(name, counts, workers)
    record: _Record = {"name": name, **counts, "version": VERSION}
    folder = Path(folder).resolve()
    if _holds(folder, record):
        return folder
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        _make(draft)
        _draw_all(draft, name, counts, workers or os.cpu_count() or 1, progress)
        (draft / _RECORD_FILE).write_text(json.dumps(record, indent=2) + "\n")
        _publish(draft, folder, record)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def render(
    category: str, defect: str | None, index: int, seed: int, size: int
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Scene number `index` of a category: RGB image (size, size, 3) and mask (size, size) 0 or 255.

    Without a `defect` it is the good twin, equal everywhere but at the defect.
    """
    picture, _ = _draw(category, None, index, seed, size)
    mask = np.zeros((size, size), np.uint8)
    if defect is not None:
        flawed, region = _draw(category, defect, index, seed, size)
        mask[texture.changed(picture, flawed, region, _CONTRAST[category])] = 255
        picture = picture + texture.near(mask) * (flawed - picture)
    grey = texture.expose(_generator(category, "sensor", index, seed), picture)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), mask


def _draw(
    category: str, defect: str | None, index: int, seed: int, size: int
) -> tuple[texture.Floats, texture.Floats]:
    scene = _generator(category, "scene", index, seed)
    flaw = _generator(category, f"flaw {defect}", index, seed)
    picture, region = _DRAW[category](size, scene, defect, flaw)
    lens = _generator(category, "lens", index, seed)
    # One type for both twins: with two types they would be rounded differently.
    picture = (picture * texture.light(lens, size)).astype(np.float32)
    return cv2.GaussianBlur(picture, (0, 0), lens.uniform(0.35, 0.7) * size / 256), region


def _generator(category: str, purpose: str, index: int, seed: int) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(f"{category} {purpose}".encode()), index, seed])


def _check(name: str, counts: dict[str, int], workers: int | None) -> None:
    problems = []
    if name not in CLASSES:
        problems.append(
            f"Synthetic pictures of {name!r} cannot be drawn; the categories that can are "
            f"{', '.join(CLASSES)}.{did_you_mean(name, CLASSES)}"
        )
    least = {"images_per_class": 1, "good": 0, "size": 64, "seed": 0, "workers": 1}
    given = counts if workers is None else {**counts, "workers": workers}
    for key, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least[key]:
            problems.append(
                f"Synthetic pictures: {key} is {value!r}; "
                f"give a whole number of at least {least[key]}."
            )
    if problems:
        raise InputError(problems)


def _holds(folder: Path, record: _Record) -> bool:
    """Whether the folder holds exactly this set; InputError if it holds something else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        found = json.loads((folder / _RECORD_FILE).read_text())
    except (OSError, ValueError):
        found = None
    if found == record:
        return True
    content = f"other synthetic pictures ({found})" if found else "something else than our pictures"
    raise InputError(
        f"{folder} exists and holds {content}; expected nothing there, or the set {record}. "
        "Name another folder, or delete this one yourself."
    )


def _make(draft: Path) -> None:
    try:
        draft.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"No folder can be made in {draft.parent} ({error.strerror}). Name another folder."
        ) from error


def _publish(draft: Path, folder: Path, record: _Record) -> None:
    try:
        draft.replace(folder)
    except OSError:
        # Another process may have written the same set meanwhile, which serves as well.
        if not _holds(folder, record):
            raise


def _draw_all(
    draft: Path,
    name: str,
    counts: dict[str, int],
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    jobs = list(_jobs(name, counts["images_per_class"], counts["good"]))
    for job in jobs:
        for relative in filter(None, (job.image, job.mask)):
            (draft / relative).parent.mkdir(parents=True, exist_ok=True)

    def write(job: _Job) -> None:
        image, mask = render(name, job.defect, job.scene, counts["seed"], counts["size"])
        _write_png(draft / job.image, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        if job.mask:
            _write_png(draft / job.mask, mask)

    with ThreadPoolExecutor(workers) as pool:
        for done, _ in enumerate(pool.map(write, jobs), start=1):
            if progress:
                progress(done, len(jobs))


def _jobs(name: str, images_per_class: int, good: int) -> Iterator[_Job]:
    """All pictures; each has a scene number of its own, whatever their number."""
    in_train = max(1, good // 2) if good else 0
    groups: list[tuple[str, str | None, int]] = [
        ("train/good", None, in_train),
        ("test/good", None, good - in_train),
    ]
    groups += [(f"test/{defect}", defect, images_per_class) for defect in CLASSES[name]]
    for place, (folder, defect, number) in enumerate(groups):
        for index in range(number):
            mask = f"ground_truth/{defect}/{index:03d}_mask.png" if defect else None
            scene = index * len(groups) + place
            yield _Job(defect, scene, f"{folder}/{index:03d}.png", mask)


def _write_png(path: Path, pixels: NDArray[Any]) -> None:
    # Not cv2.imwrite: it cannot write to every path (Windows), and fails without an exception.
    _, encoded = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    path.write_bytes(encoded.tobytes())
