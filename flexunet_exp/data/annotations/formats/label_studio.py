"""Label Studio: its JSON, or JSON-MIN, of tasks with regions in percent of the picture.

Read as its SDK 2.1.2 reads it. Rectangles turn clockwise about their top left corner, in pixels.
The corner of the picture is 0, so that a pixel belongs to a region where its middle does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from flexunet_exp.data.annotations import raster
from flexunet_exp.data.annotations.checked_json import member, want
from flexunet_exp.data.annotations.formats.format import Format, each
from flexunet_exp.data.annotations.formats.label_studio_regions import regions_of
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.raster import Tool
from flexunet_exp.data.annotations.records import (
    BACKGROUND,
    IGNORED,
    Class,
    Export,
    Labelled,
    Marked,
)
from flexunet_exp.data.folders.listing import IMAGE_SUFFIXES
from flexunet_exp.errors import InputError

TOOL = Tool("Label Studio", polygon=raster.by_centre, line=raster.lines_exactly)
PREDICTIONS = "prediction"


class LabelStudio(Format):
    """A file of tasks; several files are read as one."""

    title = "Label Studio"

    def recognises(self, place: Place) -> bool:
        return any(is_tasks(place.json(path)) for path in place.of_suffix(".json")[:4])

    def read(self, place: Place) -> Export:
        files = [path for path in place.of_suffix(".json") if is_tasks(place.json(path))]
        notes: Counter[str] = Counter()
        pictures = [
            one
            for path in files
            for one in each(tasks_of(place, path), lambda task: picture_of(place, task, notes))
        ]
        listed = {one.file for one in pictures}
        pictures += [
            Labelled(place.shown(path), path, done=False)
            for path in place.pictures.all
            if path not in listed
        ]
        used = {marked.label for one in pictures for marked in one.all_objects}
        classes = tuple(map(Class, sorted(used - {BACKGROUND, IGNORED})))
        return Export(TOOL, classes, tuple(pictures), tuple(files), notes=sentences(notes))


class Task(NamedTuple):
    """A task: `data` says the picture, `answers` are (who, when, results) of each annotation."""

    where: str
    data: dict
    answers: list[tuple[str, str, list]]
    predictions: int = 0


def is_tasks(content: Any) -> bool:
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, dict) and (
        isinstance(first.get("data"), dict) and "annotations" in first or is_min(first)
    )


def is_min(node: dict) -> bool:
    return {"annotation_id", "annotator"} <= node.keys()


def tasks_of(place: Place, path: Path) -> Iterator[Task]:
    """The tasks of a file. JSON-MIN has one row for each annotation."""
    shown = place.shown(path)
    rows: dict[Any, Task] = {}
    for index, node in enumerate(want(place.json(path), list, shown)):
        where = f"{shown} [{index}]"
        if not is_min(want(node, dict, where)):
            data, answers = member(node, "data", dict, where), list(answers_of(node, where))
            predictions = want(node.get("predictions") or [], list, f"{where} predictions")
            yield Task(where, data, answers, len(predictions))
            continue
        task = rows.setdefault(str(node.get("id", index)), Task(where, node, []))
        if node["annotation_id"] is not None:
            when = str(node.get("created_at"))
            task.answers.append((person(node["annotator"]), when, marked(node)))
    yield from rows.values()


def answers_of(node: dict, where: str) -> Iterator[tuple[str, str, list]]:
    """The annotations of a task that nobody cancelled."""
    for index, answer in enumerate(member(node, "annotations", list, where)):
        place = f"{where} annotations[{index}]"
        if not (want(answer, dict, place).get("was_cancelled") or answer.get("skipped")):
            who = person(answer.get("completed_by"))
            yield who, str(answer.get("created_at")), member(answer, "result", list, place)


def person(who: Any) -> str:
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    return str(who or "someone")


def marked(row: dict) -> list[dict]:
    """The regions of a row of JSON-MIN, as results."""
    lists = [value for value in row.values() if isinstance(value, list)]
    regions = [one for each in lists for one in each if isinstance(one, dict)]
    return [{**one, "value": one} for one in regions if "original_width" in one]


def picture_of(place: Place, task: Task, notes: Counter[str]) -> Labelled:
    """A task's picture with the objects of each annotator; adds notes on what is left out."""
    name = name_of(task)
    file = place.pictures.find(name)
    by: dict[str, tuple[Marked, ...]] = {}
    sizes = set()
    notes[PREDICTIONS] += task.predictions
    for who, _, results in sorted(task.answers, key=lambda answer: answer[1]):
        regions = regions_of(results, task.where)
        notes.update(regions.others)
        sizes.add(regions.size)
        again = sum(key.split(" (")[0] == who for key in by)
        by[f"{who} ({again + 1})" if again else who] = regions.objects
    sizes -= {None}
    if len(sizes) > 1:
        raise InputError(f"{task.where}: its regions are of pictures of several sizes: {sizes}.")
    return Labelled(
        place.shown(file) if file else name,
        file,
        next(iter(by.values())) if len(by) == 1 else (),
        sizes.pop() if sizes else None,
        done=bool(by),
        by=by if len(by) > 1 else {},
        written_in=task.where,
    )


def name_of(task: Task) -> str:
    """The path of the picture that a task shows: an upload, a URL, or a file of a local folder."""
    texts = [value for value in task.data.values() if isinstance(value, str)]
    names = [name for name in map(path_in, texts) if name.lower().endswith(IMAGE_SUFFIXES)]
    if len(names) == 1:
        return names[0]
    what = ", ".join(names) or f"none in {', '.join(map(str, task.data))}"
    raise InputError(f"{task.where}: expected the name of one picture in its data, found {what}.")


def path_in(text: str) -> str:
    """`/data/local-files/?d=a/b.jpg` → `a/b.jpg`; `s3://bucket/a.jpg?x=1` → `bucket/a.jpg`."""
    try:
        address = urlsplit(text)
    except ValueError:
        return text
    local = parse_qs(address.query).get("d")
    return local[0] if local else f"{address.netloc}{address.path}"


def sentences(notes: Counter[str]) -> list[str]:
    """What was left out."""
    return [
        f"{number} predictions of models are no annotations: they are left out."
        if kind == PREDICTIONS
        else f"{number} results of the type {kind} are no regions: they are left out."
        for kind, number in notes.items()
        if number
    ]
