"""Which class of a data set each label of an annotation tool is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flexunet_exp.data.annotations.classes import Classes
from flexunet_exp.data.annotations.records import BACKGROUND, IGNORED, Export, Labelled
from flexunet_exp.data.masks.mask_rules import IGNORE
from flexunet_exp.errors import InputError


class Labels:
    """Labels become the classes (`names`, background first) of their names.

    `merged` lists other labels of a class, `ignored` those that become 255.
    """

    def __init__(self, names: Sequence[str], merged: Any, ignored: Any):
        self.names = tuple(names)
        lists = merged if isinstance(merged, Mapping) else {"": merged} if merged else {}
        if not all(key and is_list(labels) for key, labels in lists.items()):
            raise InputError(
                f"dataset.layout.labels={merged}: expected the labels that become a class: "
                f"{{{self.names[-1]}:[label]}}"
            )
        if not is_list(ignored):
            raise InputError(f"dataset.layout.ignore={ignored}: expected labels: [unsure]")
        if strange := [name for name in lists if name not in self.names]:
            raise InputError(
                f"dataset.layout.labels: {strange[0]} is not in dataset.classes "
                f"({', '.join(self.names)})"
            )
        self.merged = {label: name for name, labels in lists.items() for label in labels}
        self.ignored = (IGNORED, *ignored)

    def value(self, label: str) -> int | None:
        """The value of a label in the mask; None where it is no class."""
        if label in self.ignored:
            return IGNORE
        name = self.merged.get(label, label)
        if name == BACKGROUND:
            return 0
        return self.names.index(name) if name in self.names else None

    def classes(self, picture: Labelled) -> Classes:
        """The values of a picture's labels; one that is no class is ignored."""
        objects = [*picture.objects, *(one for found in picture.by.values() for one in found)]
        values = {one.label: self.value(one.label) for one in objects}
        given = {label: IGNORE if value is None else value for label, value in values.items()}
        return Classes(self.names, (), given)

    def problems(self, export: Export) -> Iterable[str]:
        """The problem of labels that are no class."""
        labels = [one.name for one in export.classes]
        unknown = [label for label in labels if self.value(label) is None]
        if unknown:
            yield (
                f"The labels {', '.join(unknown)} are not in dataset.classes "
                f"({', '.join(self.names[1:])}). The export has {', '.join(labels)}. Add them, "
                f"merge them: dataset.layout.labels={{CLASS:[{unknown[0]}]}}, or leave them out "
                f"of training and scores: dataset.layout.ignore=[{unknown[0]}]"
            )


def is_list(value: Any) -> bool:
    """Whether a value is a list of texts."""
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
