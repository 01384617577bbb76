"""Makes the set from what the annotations say: each picture once, in threads, then recorded."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from omegaconf import DictConfig

from flexunet_exp.commands.import_ import choices, dealing, settings
from flexunet_exp.commands.import_.dealing import Item
from flexunet_exp.commands.import_.rows import Picture
from flexunet_exp.config import identity
from flexunet_exp.data import image_files, masks
from flexunet_exp.data.annotations import classes as naming
from flexunet_exp.data.annotations import drawing
from flexunet_exp.data.annotations.classes import Classes
from flexunet_exp.data.annotations.drawn import Drawn, check_drawn
from flexunet_exp.data.annotations.formats.format import Format, without_picture
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.raster import Tool
from flexunet_exp.data.annotations.records import Export, Labelled
from flexunet_exp.data.annotations.rules import Rules
from flexunet_exp.data.class_pixels import count_pixels
from flexunet_exp.data.dataset import file_hash
from flexunet_exp.data.grouping import grouped
from flexunet_exp.data.sets.encoding import png, sha256
from flexunet_exp.data.sets.staging import Stage
from flexunet_exp.data.splits import GOOD
from flexunet_exp.errors import InputError
from flexunet_exp.system import interrupt, progress
from flexunet_exp.system.files import replace_file
from flexunet_exp.system.parallel import in_threads

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What is made: the pictures, and how their objects become masks."""

    export: Export
    tool: Tool
    classes: Classes
    rules: Rules
    items: tuple[Item, ...]
    digest: str


def plan(cfg: DictConfig, reader: Format, place: Place) -> Plan:
    """Reads the annotations; InputError with every problem that they show by themselves."""
    export = reader.read(place)
    for note in export.notes:
        log.info("%s", note)
    if export.terms:
        log.info("%s", export.terms)
    pictures = [one for one in export.pictures if one.done or cfg.unlabelled != "skip"]
    rules = settings.rules_of(cfg)
    problems = [*export.problems, *without_picture(pictures)]
    problems += choices.unlabelled_problems(pictures, cfg.unlabelled)
    problems += choices.annotator_problems(pictures, cfg.annotator)
    try:
        merged = {new: list(labels) for new, labels in (cfg.classes or {}).items()}
        known = naming.of_export(export.classes, merged, list(cfg.ignore))
    except InputError as error:
        problems += error.problems
    names = choices.names_of(pictures, problems)
    if not pictures:
        problems.append(f"{place.given}: no picture is left to import.")
    if problems:
        raise InputError(grouped(problems))
    dealt = dealing.dealt_out(pictures, names, cfg)
    said = [file_hash(str(path)) for path in export.files]
    digest = identity.hashed([said, [facts_of(item) for item in dealt]])
    return Plan(export, rules.tool(export.tool), known, rules, tuple(dealt), digest)


def facts_of(item: Item) -> list:
    """What decides a picture's files, beside the annotations: its place, and its own files."""
    files = [item.picture.file, *(stored.path for stored in item.picture.masks)]
    stamps = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files if path]
    return [item.picture.name, item.name, item.source, item.split, stamps]


def make(plan: Plan, stage: Stage, workers: int | None) -> list[Picture]:
    """Makes the pictures that the stage lacks; InputError with all problems of the others."""
    waiting = [item for item in plan.items if item.name not in stage.done]
    log.info("%d pictures%s", len(plan.items), already(len(plan.items) - len(waiting)))
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the pictures already take all cores
    problems: list[str] = []
    count = workers or os.cpu_count() or 1
    done = 0
    try:
        with (
            closing(
                in_threads(lambda item: made(plan, item, stage.set), waiting, count, 4 * count)
            ) as all_made,
            progress.displayed(len(waiting)) as show,
        ):
            for item, result in zip(waiting, all_made, strict=True):
                interrupt.check()
                done += 1
                if isinstance(result, list):
                    problems += result
                else:
                    stage.keep(item.name, [result])
                show(done)
    finally:
        cv2.setNumThreads(threads)
    if problems:
        raise InputError(grouped(problems))
    return [stage.done[item.name][0] for item in plan.items]


def already(number: int) -> str:
    return f", {number} of them are there already" if number else ""


def made(plan: Plan, item: Item, folder: Path) -> Picture | list[str]:
    """Writes the files of a picture; its problems where it has any."""
    try:
        data = content_of(item.picture)
        size, suffix = size_of(data, item.picture)
        data, suffix = upright(data, suffix, item.picture)
        drawing.check_size(item.picture, size)
        result = drawing.drawn(item.picture, size, plan.tool, plan.classes, plan.rules)
        check_drawn(result)
    except InputError as error:
        return list(error.problems)
    return written(plan, item, folder, data, suffix, result)


def content_of(picture: Labelled) -> bytes:
    if picture.file is not None:
        return image_files.read_bytes(picture.file)
    assert picture.content is not None
    return picture.content()


def size_of(data: bytes, picture: Labelled) -> tuple[tuple[int, int], str]:
    """(height, width) of the upright picture, and the suffix of its kind."""
    name = picture.file or picture.name
    header = image_files.header(data, name)
    suffix = {"JPEG": ".jpg", "MPO": ".jpg", "BMP": ".bmp", "TIFF": ".tif"}.get(header.kind, ".png")
    return header.size, suffix


def upright(data: bytes, suffix: str, picture: Labelled) -> tuple[bytes, str]:
    """The bytes and suffix of a picture; of one that EXIF turns, those of its upright pixels.

    Masks are upright and carry no orientation, so that the picture must carry none either.
    """
    name = picture.file or picture.name
    header = image_files.header(data, name)
    if not header.turned:
        return data, suffix
    pixels = masks.decode_image(data, name)
    return png(pixels[..., 0] if header.is_grey else pixels), ".png"


def written(
    plan: Plan, item: Item, folder: Path, data: bytes, suffix: str, result: Drawn
) -> Picture:
    image = f"{item.split}/images/{item.name}{suffix}"
    mask = f"{item.split}/masks/{item.name}.png"
    palette = np.array(plan.classes.colours, np.uint8)
    truth = masks.encode_palette_mask(result.mask, palette)
    replace_file(folder / image, data)
    replace_file(folder / mask, truth)
    pixels = count_pixels(result.mask, len(plan.classes.names))
    defects = pixels[1:]
    return Picture(
        image=image,
        mask=mask,
        label=plan.classes.names[1 + int(defects.argmax())] if defects.any() else GOOD,
        source=item.source,
        variant="original",
        split=item.split,
        given_split=item.picture.split,
        width=result.mask.shape[1],
        height=result.mask.shape[0],
        sha256=sha256(data),
        mask_sha256=sha256(truth),
        defect_pixels=int(defects.sum()),
        original=item.picture.name,
        objects=json.dumps(result.objects),
        losses=json.dumps(result.losses),
        area=round(result.area, 2),
        area_drawn=result.area_drawn,
        pixels=json.dumps(named_pixels(plan, pixels)),
    )


def named_pixels(plan: Plan, pixels: np.ndarray) -> Mapping[str, int]:
    return {name: int(n) for name, n in zip(plan.classes.names, pixels, strict=True) if n}
