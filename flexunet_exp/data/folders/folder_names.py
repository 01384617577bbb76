"""What the folders of a data set are called: their usual names, in any case, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from flexunet_exp.data.folders.listing import pictures_in, sub_folders
from flexunet_exp.data.scan_record import Findings
from flexunet_exp.errors import InputError, did_you_mean

# The first name of each is the one that the documentation uses.
SPLITS = {
    "train": ("train", "training"),
    "valid": ("valid", "val", "validation"),
    "test": ("test", "testing"),
}
KINDS = {
    "images": ("images", "image", "imgs", "img", "pictures", "photos"),
    "masks": (
        "masks",
        "mask",
        "labels",
        "label",
        "annotations",
        "annotation",
        "gt",
        "ground_truth",
        "ground-truth",
        "groundtruth",
    ),
}
RAW_PARTS = {
    "train": SPLITS["train"],
    "test": SPLITS["test"],
    "ground_truth": ("ground_truth", *(name for name in KINDS["masks"] if name != "ground_truth")),
}
GOOD_NAMES = ("good", "ok", "normal", "free")
NEVER_GOOD = ("ng", "ko", "nok", "not_good", "bad", "defect", "defects", "defective")


class Places(NamedTuple):
    """Where the pictures of a split lie, and their masks; both may be missing."""

    images: Path
    masks: Path


def meaning(name: str, names: Mapping[str, Sequence[str]]) -> str:
    """The key of `names` that a folder's name stands for; empty if it stands for none."""
    return next((key for key, known in names.items() if name.lower() in known), "")


def known_good(good_names: Sequence[str]) -> frozenset[str]:
    """The names of good folders, in lower case; InputError for one that is never good."""
    given = [str(name) for name in good_names]
    if never := [name for name in given if name.lower() in NEVER_GOOD]:
        raise InputError(
            f"dataset.good_names has {', '.join(never)}: this name means pictures with a defect. "
            "Add the defect's class to dataset.classes, or rename the folder."
        )
    return frozenset([*GOOD_NAMES, *(name.lower() for name in given)])


def unknown(test: Path, names: Sequence[str], classes: Sequence[str]) -> list[str]:
    """A problem for each folder of raw data that is neither a class nor good."""
    root = test.parent
    return [
        f"{root}: the folder {name} has pictures with a defect by its name. Which class is it? "
        f"Rename the folder to one of {', '.join(classes)}, or add its class to dataset.classes."
        if name.lower() in NEVER_GOOD
        else f"{root}: the folder {name} is no configured class (they are {', '.join(classes)})."
        f"{did_you_mean(name.lower(), classes)} Rename it, add it to dataset.classes, or choose "
        "another dataset/layout (mvtec, image_mask). If its pictures have no defect, type "
        f"dataset.good_names=[{name}]"
        for name in sorted(names)
    ]


def raw_places(root: Path, findings: Findings) -> dict[str, Path]:
    """The folders train, test and ground_truth of raw data, whatever they are called."""
    found: dict[str, list[Path]] = {part: [] for part in RAW_PARTS}
    for folder in sub_folders(root, findings.problems):
        if part := meaning(folder.name, RAW_PARTS):
            found[part].append(folder)
    if not found["test"]:
        findings.problems.append(
            f"{root}: no folder test in it, expected test/<defect>/NNN.png. Point elsewhere with "
            "dataset.path=FOLDER, or choose the layout: dataset/layout=mvtec or image_mask."
        )
    return {part: chosen(root, part, paths, root / part, findings) for part, paths in found.items()}


def ready_places(root: Path, findings: Findings) -> dict[str, Places]:
    """Split → its folders, where root has any of the split: `train/images`, or `images/train`."""
    found: dict[tuple[str, str], list[Path]] = {}
    words: dict[str, set[str]] = {split: set() for split in SPLITS}
    for outer in sub_folders(root, findings.problems):
        for inner in sub_folders(outer, findings.problems):
            for in_split, in_kind in ((outer, inner), (inner, outer)):
                split, kind = meaning(in_split.name, SPLITS), meaning(in_kind.name, KINDS)
                if split and kind:
                    found.setdefault((split, kind), []).append(inner)
                    words[split].add(in_split.name)
        if (split := meaning(outer.name, SPLITS)) and pictures_in(outer):
            words[split].add(outer.name)
            if (split, "images") not in found:  # train/a.png, with train/masks or beside them
                found[split, "images"] = [outer]
        warn_of_unknown(root, outer, findings)
    findings.problems += [
        f"{root} has the folders {' and '.join(sorted(names))}, and both mean {split}. Put their "
        "pictures into one folder, or rename one of them."
        for split, names in words.items()
        if len(names) > 1
    ]
    splits = [split for split in SPLITS if {(split, "images"), (split, "masks")} & set(found)]
    places = {
        split: of_split(root, split, found, findings) for split in splits if len(words[split]) == 1
    }
    say(root, places, findings)
    if not splits:
        findings.problems.append(
            f"{root}: no folder train/images in it, nor valid/images or test/images, expected "
            f"train/{{images,masks}}/NAME.png.{without_split(root)} Point elsewhere with "
            "dataset.path=FOLDER, or choose the layout: dataset/layout=mvtec or image_mask."
        )
    return places


def without_split(root: Path) -> str:
    """A sentence with the folders of pictures that belong to no split; empty if there are none."""
    names = [
        folder.name
        for folder in sub_folders(root, [])
        if meaning(folder.name, KINDS) and pictures_in(folder)
    ]
    if not names:
        return ""
    return f" It has {' and '.join(names)} without a split: move them into train, valid and test."


def of_split(
    root: Path, split: str, found: dict[tuple[str, str], list[Path]], findings: Findings
) -> Places:
    """The folders of a split; one that is missing is where it would belong."""
    paths = {kind: found.get((split, kind), []) for kind in KINDS}
    known = (paths["images"] or paths["masks"])[0]
    first_split = bool(meaning(known.parent.name, SPLITS)) or known.parent == root
    within = known if known.parent == root else known.parent
    expected = {kind: within / kind if first_split else root / kind / known.name for kind in KINDS}
    return Places(
        *(chosen(root, f"{split}/{kind}", paths[kind], expected[kind], findings) for kind in KINDS)
    )


def chosen(
    root: Path, name: str, paths: Sequence[Path], expected: Path, findings: Findings
) -> Path:
    """The folder that is meant: the only one, or of several the one called `name`.

    Adds a problem where that leaves several, and a warning of the others that hold pictures.
    """
    exact = [path for path in paths if path == root / name]
    if len(paths) > 1 and not exact:
        names = ", ".join(relative(path, root) for path in paths)
        findings.problems.append(
            f"{root}: {names} can all mean {name}. Rename the one that is meant to {name}, and "
            "move the others elsewhere."
        )
    others = [path for path in paths if exact and path not in exact and pictures_in(path)]
    if others:
        names = ", ".join(relative(path, root) for path in others)
        findings.warnings.append(f"{root}: {names} is not read, because there is {name}.")
    return (exact or [*paths, expected])[0]


def warn_of_unknown(root: Path, folder: Path, findings: Findings) -> None:
    """A warning of a folder that is called like no split, and has pictures as a split has them."""
    if meaning(folder.name, SPLITS) or meaning(folder.name, KINDS):
        return
    if any(meaning(inner.name, KINDS) == "images" for inner in sub_folders(folder, [])):
        findings.warnings.append(
            f"{root}: {folder.name} is not read: it is called like no split (train, valid, test)."
        )


def say(root: Path, places: Mapping[str, Places], findings: Findings) -> None:
    """A note of the folders that are not called as the documentation calls them."""
    read_as = [
        f"{relative(path, root)} is read as {split}/{kind}"
        for split, of_split in places.items()
        for kind, path in zip(KINDS, of_split, strict=True)
        if path != root / split / kind and path.is_dir()
    ]
    if read_as:
        findings.notes.append(f"{root}: {', '.join(read_as)}.")


def relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
