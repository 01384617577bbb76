"""Damaged and hostile exports end in a sentence that names the file, and leave nothing behind.

The cases are in `hostile_json`, `hostile_tools` and `hostile_others`. Each is small: the largest
unpacks to 200 MB.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from flexunet_exp.commands.import_ import command
from flexunet_exp.commands.import_ import settings as import_settings
from flexunet_exp.data.annotations.choosing import chosen
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.errors import InputError
from tests.formats import hostile_json as in_json
from tests.formats import hostile_others as others
from tests.formats import hostile_tools as of_tools
from tests.formats.hostile_json import HEIGHT, WIDTH, Case

CASES: dict[str, Case] = {
    f"{kind}: {name}": case
    for kind, cases in {
        "labelme": in_json.LABELME,
        "coco": in_json.COCO,
        "label_studio": of_tools.LABEL_STUDIO,
        "supervisely": of_tools.SUPERVISELY,
        "via": of_tools.VIA,
        "isat": of_tools.ISAT,
        "cvat": others.CVAT,
        "yolo": others.YOLO,
        "voc": others.VOC,
        "severstal": others.SEVERSTAL,
    }.items()
    for name, case in cases.items()
} | others.others()


@pytest.fixture(scope="module")
def settings():
    """The settings of flexunet import; composed once, as it takes longer than a case."""
    from hydra import compose, initialize_config_dir

    from flexunet_exp.config import resolvers
    from flexunet_exp.config.compose import conf_dir

    resolvers.register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("import")


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder to work in, with a picture that lies outside of the export."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FLEXUNET_CONF", raising=False)
    picture(tmp_path / "secret.png")
    return tmp_path


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 90, np.uint8)).save(path)


def put(folder: Path, case: Case) -> None:
    picture(folder / "a.png")
    for name, content in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        made = content() if callable(content) else content
        path.write_bytes(made.encode() if isinstance(made, str) else made)


@pytest.fixture(scope="module")
def formats():
    """All formats, as an import with format=auto asks them."""
    return import_settings.formats()


def imported(place: Path, settings, form: str, **more) -> str:
    """The sentences with which an import of `export` is refused."""
    own = {"input": f"{place}/export", "output": f"{place}/set", "unlabelled": "good"}
    cfg = OmegaConf.merge(settings, own | {"format": form} | more)
    with pytest.raises(InputError) as caught:
        command.task(cfg)
    return str(caught.value)


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", CASES)
def test_it_ends_in_a_sentence_that_names_the_file_and_leaves_nothing(
    place, settings, formats, name
):
    case = CASES[name]
    put(place / "export", case)
    before = files_in(place)
    with contextlib.suppress(InputError):  # no format may end in another error
        chosen("auto", formats, Place(place / "export"))
    said = imported(place, settings, case.format, **case.settings)
    assert case.told in said and (case.named or next(iter(case.files))) in said, said
    assert not (place / "set").exists()
    left = {path.relative_to(place).parts[0] for path in files_in(place) - before}
    assert left <= {".set.preparing"}  # what the same command would go on with


def test_there_are_cases_of_every_kind_of_format():
    formats = {case.format for case in CASES.values()}
    assert len(CASES) > 150 and len(formats) > 14


def test_a_picture_behind_a_link_that_leads_out_is_not_read(place, settings):
    put(place / "export", in_json.labelme("", picture={"imagePath": "link.png"}))
    os.symlink(place / "secret.png", place / "export/link.png")
    assert "link.png is not there" in imported(place, settings, "labelme")


def test_json_of_any_depth_ends_in_a_sentence(place, settings):
    """What json reads may be too deep for what looks at it, which is deeper in the stack."""
    for depth in range(sys.getrecursionlimit() - 200, sys.getrecursionlimit(), 20):
        raw = in_json.SHAPES + in_json.nested(depth) + "}"
        put(place / "export", in_json.labelme("", raw=raw))
        assert "a.json" in imported(place, settings, "labelme")


@pytest.mark.heavy
def test_a_million_points_are_drawn(place, settings):
    """They are no damage: outlines traced from masks are long."""
    turns = np.linspace(0, 2 * np.pi, 1_000_000)
    points = np.stack([30 + 20 * np.cos(turns), 24 + 15 * np.sin(turns)], axis=1).astype(int)
    content = {"imagePath": "a.png", "shapes": [{"label": "dent", "points": points.tolist()}]}
    put(place / "export", Case("labelme", {"a.json": json.dumps(content)}, ""))
    own = {"input": f"{place}/export", "output": f"{place}/set"}
    command.task(OmegaConf.merge(settings, own))
    (mask,) = (place / "set").glob("*/masks/a.png")
    assert np.asarray(Image.open(mask))[24, 30] == 1
