"""Compares the pictures and masks that a run was made with to those here, file by file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from omegaconf import DictConfig

from flexunet_exp.commands.reproduce.checks import DIFFERENT, SAME, UNKNOWN, Check, listed
from flexunet_exp.commands.reproduce.recorded import Recorded
from flexunet_exp.config import building
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.data.layouts import Synthetic
from flexunet_exp.errors import InputError
from flexunet_exp.tracking.provenance import relative

GO_ON = "Restore them, or train on the data that are here with data=warn."


def check(recorded: Recorded, wanted: DictConfig, cfg: DictConfig) -> tuple[Check, Dataset]:
    """What differs in the data, and the data set as a training would load it now.

    Refuses any difference unless `data` is warn. Raises InputError where the folder is missing,
    where files are missing or changed, or where what is there is no data set.
    """
    folder, is_refused = datasets.folder_of(wanted), cfg.data != "warn"
    require_folder(folder, wanted, cfg.data_root is not None)
    lost = list(differences(recorded, wanted, folder))
    if lost and is_refused:
        raise InputError([f"data: {sentence} {GO_ON}" for sentence in lost])
    dataset = datasets.load(wanted, again=True)
    found = [*lost, *added(recorded, dataset, folder)]
    if recorded.data_digest is None:
        found.append("The run keeps no digest of its data: masks and split are not compared.")
        return Check("data", UNKNOWN, found), dataset
    if dataset.digest == recorded.data_digest:
        said = f"The digest is {dataset.digest}, as the run's: pictures, masks and split are equal."
        return Check("data", SAME, [said]), dataset
    found.append(f"The digest is {dataset.digest}; the run's is {recorded.data_digest}.")
    refusal = f"{' '.join(found)} {GO_ON}" if is_refused else ""
    return Check("data", DIFFERENT, found, refusal), dataset


def require_folder(folder: Path, wanted: DictConfig, is_named: bool) -> None:
    """Draws generated data that are missing, where a person named the folder of all data sets.

    Raises InputError for other missing data.
    """
    if folder.is_dir():
        return
    if not is_named or building.locate(wanted.dataset.layout["_target_"]) is not Synthetic:
        raise InputError(
            f"data: {folder} is not a folder on this machine. Give the folder of all data sets: "
            "data_root=FOLDER"
        )
    datasets.scanned(wanted)


def differences(recorded: Recorded, wanted: DictConfig, folder: Path) -> Iterator[str]:
    """A sentence for each kind of recorded file that is missing or has another content."""
    lights = datasets.channels_of(wanted)
    table = recorded.table.drop_duplicates("image")
    names = [relative(image, recorded.data_folder) for image in table["image"]]
    pictures = dict(zip(names, table["sha256"], strict=True))
    masks = recorded.of_data("masks")
    if masks is None:
        masks = {relative(mask, recorded.data_folder): "" for mask in table["mask"] if mask}
    yield from compared("picture", folder, pictures, lambda p: datasets.picture_hash(p, lights))
    yield from compared("mask", folder, masks, lambda path: datasets.file_hash(str(path)))


def compared(
    kind: str, folder: Path, recorded: dict[str, str], hash_of: Callable[[Path], str]
) -> Iterator[str]:
    """Which of the recorded files are missing, and which changed; "" is an unknown content."""
    missing, changed = [], []
    for name, known in recorded.items():
        try:
            if known and hash_of(folder / name) != known:
                changed.append(name)
            elif not (folder / name).exists():
                missing.append(name)
        except OSError:
            missing.append(name)
    for names, what in ((missing, "missing"), (changed, "changed")):
        if names:
            are = f"{kind} is" if len(names) == 1 else f"{kind}s are"
            yield f"{len(names)} {are} {what} in {folder}: {listed(names)}."


def added(recorded: Recorded, dataset: Dataset, folder: Path) -> list[str]:
    """A sentence on the pictures that the run did not have."""
    known = {relative(image, recorded.data_folder) for image in recorded.table["image"]}
    names = {relative(image, folder) for image in dataset.table["image"]}
    new = sorted(names - known)
    if not new:
        return []
    return [f"Pictures that the run did not have, {len(new)}: {listed(new)}."]
