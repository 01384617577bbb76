"""From the entries of a file to an experiment and a data set, with an outcome for each key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flexunet_exp.commands.import_config import architectures, augmentor, data, ini, values
from flexunet_exp.commands.import_config.ini import Entry
from flexunet_exp.commands.import_config.keys import (
    MEANT,
    NO_EFFECT,
    TAKEN,
    UNSUPPORTED,
    Outcome,
    Project,
    Table,
)
from flexunet_exp.commands.import_config.training import TRAINING
from flexunet_exp.commands.import_config.values import Value
from flexunet_exp.commands.import_config.volumes import VOLUMES
from flexunet_exp.config.rules import MISSING
from flexunet_exp.errors import InputError, did_you_mean

UNUSED = (
    "datasetclass",
    "transformer",
    "segmentation",
    "inspect",
    "preprocessor",
    "dataset",
)
MODEL = ("model", "model")


@dataclass(frozen=True)
class Converted:
    """Outcomes by entry, those of absent keys, and what is written."""

    given: list[tuple[Entry, Outcome]]
    absent: list[tuple[tuple[str, str], Any, Outcome]]
    settings: dict[str, Any]
    classes: list[dict[str, Any]]
    mask_classes: list[dict[str, Any]]  # [] where the masks hold `classes`
    path: Path | None


def convert(entries: Sequence[Entry], file: Path, choices: Any) -> Converted:
    """`choices` has faithful, network and data_root. Raises InputError with every problem."""
    check_readable(entries, choices.faithful)
    found, problems = read_values(entries)
    if MODEL not in found and not problems:
        problems.append("[model] model is missing: this is no file of the original program")
    if problems:
        raise InputError([f"{file}: {one}" for one in problems])
    model, arguments = architectures.model_of(found[MODEL].value, choices.network)
    table = rows(model)
    problems = broken(entries, found, table)
    known = with_defaults(found, table, choices.faithful)
    project = Project(known, choices.faithful, model, arguments)
    if not problems:
        problems += data.map_problems(project)
    path, missing = data.root_of(project, choices.data_root, file)
    if problems := [*problems, *missing]:
        raise InputError([f"{file}: {one}" for one in problems])
    return collected(entries, found, table, project, path)


def rows(model: str) -> Table:
    """The rows of all keys; those of the network take precedence."""
    return {
        **architectures.foreign(),
        **data.DATA,
        **data.GENERATOR,
        **augmentor.AUGMENTOR,
        **TRAINING,
        **VOLUMES,
        **architectures.table(model),
    }


def check_readable(entries: Sequence[Entry], faithful: bool) -> None:
    """With faithful=true, a file that the original could not read is refused."""
    if faithful and (found := list(ini.faults(entries))):
        raise InputError(
            [f"{one}. The original could not read such a file, and trained none of its settings"
             for one in found]
            + ["Leave faithful=true out to import what was meant"]
        )  # fmt: skip


def read_values(entries: Sequence[Entry]) -> tuple[dict[tuple[str, str], Value], list[str]]:
    """The value of each key, of one given twice the last; and the problems."""
    found: dict[tuple[str, str], Value] = {}
    problems = []
    for entry in entries:
        try:
            found[entry.name] = values.read(entry.text)
        except ValueError as error:
            problems.append(f"{entry.place}: {error}")
        if twice := values.keys_twice(entry.text):
            problems.append(f"{entry.place} has {', '.join(twice)} twice; expected each once")
    return found, problems


def broken(entries: Sequence[Entry], found: dict, table: Table) -> list[str]:
    """Values that break their rules."""
    problems = []
    for entry in entries:
        row, value = table.get(entry.name), found[entry.name].value
        if row and row.rule and value is not None and not row.rule.holds(value):
            problems.append(
                f"{entry.place} = {entry.text[:60]} is not {row.rule.expected}. Write for example "
                f"{entry.key} = {row.rule.example}"
            )
    return problems


def with_defaults(found: dict, table: Table, faithful: bool) -> dict[tuple[str, str], Any]:
    """The value of each key: the file's; the original's default where that read no other."""
    known = {name: row.default for name, row in table.items() if row.default is not MISSING}
    for name, one in found.items():
        lost = one.value is None or (faithful and one.fault and name in known)
        if not (lost and name in known):
            known[name] = one.value
    return known


def collected(
    entries: Sequence[Entry], found: dict, table: Table, project: Project, path: Path | None
) -> Converted:
    comment = next((e.comment for e in entries if e.name[1] in ("rgb_map", "color_map")), [])
    given = [(entry, outcome(entry, found[entry.name], table, project)) for entry in entries]
    absent = list(defaults(found, table, project))
    settings: dict[str, Any] = {
        "/dataset/layout": "image_mask",
        "/augmentation": "none",
        "/model": project.model,
    }
    settings |= {"/loss": "cross_entropy", "/optimizer": "adam", "monitor": "val_loss"}
    settings |= {"dataset.good": "none"}
    for one in [*(result for *_, result in absent), *(result for _, result in given)]:
        settings |= one.settings
    if drawn := augmentor.transforms(project):
        settings["augmentation.transforms"] = drawn
    if project.faithful:
        settings["dataset.layout.off_palette"] = "nearest"
    return Converted(given, absent, settings, *data.classes_of(project, comment), path)


def outcome(entry: Entry, value: Value, table: Table, project: Project) -> Outcome:
    """What became of an entry; what was wrong with its text is said too."""
    if entry.name == MODEL:
        return Outcome(TAKEN, f"model={project.model}")
    row = table.get(entry.name)
    if row is None:
        return unknown(entry, table)
    result = row.becomes(project.get(*entry.name), project)
    faults = [*entry.faults, *([value.fault] if value.fault else [])]
    if not faults:
        return result
    verdict = MEANT if result.verdict == TAKEN else result.verdict
    return Outcome(verdict, "; ".join([*faults, result.says]).rstrip("; "), result.settings)


def unknown(entry: Entry, table: Table) -> Outcome:
    if entry.section in UNUSED:
        return Outcome(NO_EFFECT, "no network of the original uses this section")
    keys = [key for section, key in table if section == entry.section]
    return Outcome(UNSUPPORTED, f"no key of the original.{did_you_mean(entry.key, keys)}")


def defaults(found: dict, table: Table, project: Project) -> Iterator[tuple]:
    """What the original's defaults of absent keys become, where they set or draw something."""
    for name, row in table.items():
        if name not in found and row.default is not MISSING:
            result = row.becomes(row.default, project)
            if result.settings or augmentor.is_drawn(name, project):
                yield name, row.default, result
