"""Public data sets: tiny trees after the layouts that the modules of the formats cite."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexunet_exp.commands.import_ import settings
from flexunet_exp.data.annotations.choosing import chosen
from flexunet_exp.data.annotations.classes import of_export
from flexunet_exp.data.annotations.drawing import drawn
from flexunet_exp.data.annotations.drawn import Drawn
from flexunet_exp.data.annotations.formats.dagm import Dagm
from flexunet_exp.data.annotations.formats.kolektor import KolektorSDD, KolektorSDD2
from flexunet_exp.data.annotations.formats.magnetic_tile import MagneticTile
from flexunet_exp.data.annotations.formats.mvtec_family import Btad, Mpdd, MVTecAd2
from flexunet_exp.data.annotations.formats.mvtec_loco import MVTecLoco
from flexunet_exp.data.annotations.formats.neu_seg import NeuSeg
from flexunet_exp.data.annotations.formats.real_iad import RealIad
from flexunet_exp.data.annotations.formats.visa import VisA
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.records import Export
from flexunet_exp.data.annotations.rules import Rules
from flexunet_exp.errors import InputError

SIZE = (8, 10)  # of all pictures: height, width


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(str(path))).integers(0, 255, (*SIZE, 3), np.uint8)
    Image.fromarray(noise).save(path)


def mask(path: Path, *values: int) -> None:
    """A grey mask whose first pixels have these values, the others 0."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(SIZE, np.uint8)
    pixels.ravel()[: len(values)] = values
    Image.fromarray(pixels).save(path)


def drawn_masks(export: Export) -> dict[str, Drawn]:
    """What is drawn of each picture, by its name."""
    classes = of_export(export.classes, {}, [])
    return {one.name: drawn(one, SIZE, export.tool, classes, Rules()) for one in export.pictures}


def start(result: Drawn, number: int) -> list[int]:
    """The first pixels of a mask; all others are background."""
    assert not result.mask.ravel()[number:].any()
    return result.mask.ravel()[:number].tolist()


def names(export: Export) -> list[str]:
    return [one.name for one in export.classes]


def splits(export: Export) -> dict[str, str]:
    return {one.name: one.split for one in export.pictures}


def tree(root: Path, name: str) -> Path:
    """A set of this name, with a defect and a good picture at least."""
    {
        "visa": visa,
        "mvtec_loco": loco,
        "mvtec_ad2": ad2,
        "mpdd": mpdd,
        "btad": btad,
        "magnetic_tile": tiles,
        "kolektor_sdd": kolektor,
        "kolektor_sdd2": kolektor2,
        "real_iad": real_iad,
        "dagm": dagm,
        "neu_seg": neu,
    }[name](root)
    return root


def visa(root: Path) -> None:
    for thing in ("pcb1", "capsules"):
        picture(root / thing / "Data/Images/Normal/0000.JPG")
        picture(root / thing / "Data/Images/Anomaly/000.JPG")
        mask(root / thing / "Data/Masks/Anomaly/000.png", 1, 3, 4)
    (root / "split_csv").mkdir()
    rows = [
        "object,split,label,image,mask",
        "pcb1,train,normal,pcb1/Data/Images/Normal/0000.JPG,",
        "pcb1,test,anomaly,pcb1/Data/Images/Anomaly/000.JPG,pcb1/Data/Masks/Anomaly/000.png",
        "capsules,test,normal,capsules/Data/Images/Normal/0000.JPG,",
        "capsules,train,anomaly,capsules/Data/Images/Anomaly/000.JPG,capsules/Data/Masks/Anomaly/000.png",
    ]
    (root / "split_csv/2cls_highshot.csv").write_text("\n".join(rows))
    (root / "split_csv/1cls.csv").write_text(rows[0])


def loco(root: Path) -> None:
    for part in ("train", "validation", "test"):
        picture(root / "pushpins" / part / "good/000.png")
    picture(root / "pushpins/test/logical_anomalies/000.png")
    mask(root / "pushpins/ground_truth/logical_anomalies/000/000.png", 255)
    mask(root / "pushpins/ground_truth/logical_anomalies/000/001.png", 0, 236, 236)
    config = [
        {"defect_name": name, "pixel_value": value, "saturation_threshold": 1.0,
         "relative_saturation": True}
        for name, value in (("missing_pushpin", 255), ("front_bent", 236), ("broken", 240))
    ]  # fmt: skip
    (root / "pushpins/defects_config.json").write_text(json.dumps(config))


def ad2(root: Path) -> None:
    picture(root / "can/train/good/000_regular.png")
    picture(root / "can/validation/good/000_regular.png")
    picture(root / "can/test_public/good/000_regular.png")
    picture(root / "can/test_public/bad/000_regular.png")
    mask(root / "can/test_public/ground_truth/bad/000_regular_mask.png", 255, 255)
    picture(root / "can/test_private/000_regular.png")
    picture(root / "can/test_private_mixed/000_mixed.png")


def mpdd(root: Path) -> None:
    for thing, kind in (("tubes", "anomalous"), ("connector", "parts_mismatch")):
        picture(root / thing / "train/good/000.png")
        picture(root / thing / f"test/{kind}/000.png")
        mask(root / thing / f"ground_truth/{kind}/000_mask.png", 255)


def btad(root: Path) -> None:
    for thing, of_picture, of_mask in (("01", "bmp", "png"), ("02", "png", "png"), ("03", "bmp", "bmp")):  # fmt: skip # noqa: E501
        picture(root / thing / f"train/ok/0000.{of_picture}")
        picture(root / thing / f"test/ko/0000.{of_picture}")
        mask(root / thing / f"ground_truth/ko/0000.{of_mask}", 255)


def tiles(root: Path) -> None:
    for kind, values in (("Crack", (1, 127, 128, 255)), ("Free", ()), ("Uneven", ())):
        picture(root / f"MT_{kind}/Imgs/exp1_num_{len(kind)}.jpg")
        mask(root / f"MT_{kind}/Imgs/exp1_num_{len(kind)}.png", *values)


def kolektor(root: Path) -> None:
    for part, values in (("Part0", (255,)), ("Part1", ())):
        picture(root / f"kos01/{part}.jpg")
        mask(root / f"kos01/{part}_label.bmp", *values)


def kolektor2(root: Path) -> None:
    for part, number, values in (("train", 10000, (255,)), ("train", 10001, ()), ("test", 20000, (255, 255))):  # fmt: skip # noqa: E501
        picture(root / part / f"{number}.png")
        mask(root / part / f"{number}_GT.png", *values)


def real_iad(root: Path) -> None:
    listed: dict = {"meta": {"normal_class": "OK", "prefix": "usb/"}, "train": [], "test": []}
    for part, kind, folder, suffix in (
        ("train", "OK", "OK/S0001", None),
        ("test", "AK", "NG/AK/S0001", "_mask.png"),
        ("test", "OK", "NG/AK/S0001", None),
    ):
        for view in (1, 2):
            name = f"{folder}/usb_0001_{part}_{kind}_C{view}.jpg"
            picture(root / "realiad_1024/usb" / name)
            given = name.replace(".jpg", suffix) if suffix else None
            if given:
                mask(root / "realiad_1024/usb" / given, *[255] * view)
            listed[part].append(
                {"category": "usb", "anomaly_class": kind, "image_path": name, "mask_path": given}
            )
    for folder in ("realiad_jsons", "realiad_jsons_sv"):
        (root / "realiad_jsons" / folder).mkdir(parents=True)
        (root / "realiad_jsons" / folder / "usb.json").write_text(json.dumps(listed))


def dagm(root: Path) -> None:
    for part in ("Train", "Test"):
        for number in (1, 2):
            picture(root / f"Class7/Class7/{part}/000{number}.PNG")
        mask(root / f"Class7/Class7/{part}/Label/0002_label.PNG", 255)
        (root / f"Class7/Class7/{part}/Label/Labels.txt").write_text("1")


def neu(root: Path) -> None:
    for part, name in (("training", "000201"), ("test", "000001")):
        picture(root / f"images/{part}/{name}.jpg")
        mask(root / f"annotations/{part}/{name}.png", 3, 1, 2)


SETS = {
    "visa": VisA,
    "mvtec_loco": MVTecLoco,
    "mvtec_ad2": MVTecAd2,
    "mpdd": Mpdd,
    "btad": Btad,
    "magnetic_tile": MagneticTile,
    "kolektor_sdd": KolektorSDD,
    "kolektor_sdd2": KolektorSDD2,
    "real_iad": RealIad,
    "dagm": Dagm,
    "neu_seg": NeuSeg,
}


@pytest.fixture
def export(tmp_path):
    """The export of a set, or of a folder in it."""

    def read(name: str, inner: str = "", ready: bool = False) -> Export:
        root = tmp_path if ready else tree(tmp_path, name)
        return SETS[name]().read(Place(root / inner))

    return read


@pytest.mark.parametrize("name", SETS)
def test_each_set_is_recognised_by_its_own_format_alone(tmp_path, name):
    found, reader = chosen("auto", settings.formats(), Place(tree(tmp_path, name)))

    assert found == name
    assert isinstance(reader, SETS[name])


@pytest.mark.parametrize("name", SETS)
def test_each_set_says_how_to_cite_it(export, name):
    assert "Cite" in export(name).terms or "cited" in SETS[name].terms


@pytest.mark.parametrize("name", SETS)
def test_another_folder_is_refused_with_the_layout_that_was_expected(tmp_path, name):
    picture(tmp_path / "photos/a.png")

    with pytest.raises(InputError) as caught:
        SETS[name]().read(Place(tmp_path))

    (problem,) = caught.value.problems
    assert SETS[name].layout in problem


@pytest.mark.parametrize("name", sorted(SETS.keys() - {"dagm", "kolektor_sdd", "kolektor_sdd2"}))
def test_pictures_of_defects_without_masks_are_problems(export, tmp_path, name):
    tree(tmp_path, name)
    for path in [*tmp_path.rglob("*")]:
        is_mask = {"ground_truth", "Masks", "annotations"} & set(path.parts) or (
            path.stem.endswith("_mask") or (path.suffix == ".png" and path.parent.name == "Imgs")
        )
        if path.is_file() and is_mask:
            path.unlink()

    found = export(name, ready=True)

    assert found.problems
    assert all("there is no mask" in problem for problem in found.problems)


@pytest.mark.parametrize("name", ["kolektor_sdd", "kolektor_sdd2"])
def test_every_picture_of_kolektor_has_a_mask(export, tmp_path, name):
    tree(tmp_path, name)
    next(path for path in tmp_path.rglob("*") if path.stem.endswith(("_label", "_GT"))).unlink()

    (problem,) = export(name, ready=True).problems

    assert "there is no mask" in problem


def test_visa_has_class_numbers_of_each_object(export):
    found = export("visa")

    assert names(found)[:4] == [
        "capsules_bubble", "capsules_discolor", "capsules_scratch", "capsules_leak",
    ]  # fmt: skip
    assert names(found)[5:] == ["pcb1_bent", "pcb1_melt", "pcb1_scratch", "pcb1_missing"]
    masks = drawn_masks(found)
    assert start(masks["capsules/Data/Images/Anomaly/000.JPG"], 3) == [1, 3, 4]
    assert start(masks["pcb1/Data/Images/Anomaly/000.JPG"], 3) == [6, 8, 9]
    assert start(masks["pcb1/Data/Images/Normal/0000.JPG"], 0) == []


def test_visa_has_the_splits_with_anomalies_in_train(export):
    assert splits(export("visa")) == {
        "pcb1/Data/Images/Normal/0000.JPG": "train",
        "pcb1/Data/Images/Anomaly/000.JPG": "test",
        "capsules/Data/Images/Normal/0000.JPG": "test",
        "capsules/Data/Images/Anomaly/000.JPG": "train",
    }


def test_one_object_has_classes_without_its_name(export):
    found = export("visa", inner="pcb1")

    assert names(found) == ["bent", "melt", "scratch", "missing"]
    assert start(drawn_masks(found)["Data/Images/Anomaly/000.JPG"], 3) == [1, 3, 4]


def test_visa_as_it_is_reorganised_for_one_class_has_lost_its_classes(export, tmp_path):
    tree(tmp_path, "visa")
    mask(tmp_path / "pcb1/Data/Masks/Anomaly/000.png", 255)

    result = drawn_masks(export("visa", ready=True))["pcb1/Data/Images/Anomaly/000.JPG"]

    (problem,) = result.problems
    assert "255 (1 px). Expected 0, 1 pcb1_bent, 2 pcb1_melt" in problem


def test_visa_has_no_other_objects(tmp_path):
    picture(tmp_path / "screw/Data/Images/Normal/0000.JPG")

    with pytest.raises(InputError, match="VisA has no object screw"):
        VisA().read(Place(tmp_path))


def test_a_split_file_of_visa_with_other_columns_is_refused(export, tmp_path):
    tree(tmp_path, "visa")
    (tmp_path / "split_csv/2cls_highshot.csv").write_text("a,b\n1,2\n")

    with pytest.raises(InputError, match="expected the columns object, split, label, image"):
        export("visa", ready=True)


def test_loco_merges_the_masks_of_a_picture_by_the_table_of_its_object(export):
    found = export("mvtec_loco")

    assert names(found) == ["missing_pushpin", "front_bent", "broken"]
    result = drawn_masks(found)["pushpins/test/logical_anomalies/000.png"]
    assert start(result, 3) == [1, 2, 2]
    assert result.objects == {"missing_pushpin": 1, "front_bent": 1}
    assert set(splits(found).values()) == {"train", "valid", "test"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "no JSON"),
        ("{}", "expected a list"),
        ("[5]", "expected an object"),
        ('[{"defect_name": "bent"}]', "has no 'pixel_value'"),
        ('[{"defect_name": "bent", "pixel_value": 300}]', "pixel_value=300, expected 1 to 255"),
        ('[{"pixel_value": 7}]', "has no 'defect_name'"),
    ],
)
def test_a_damaged_table_of_loco_ends_in_one_sentence(export, tmp_path, content, sentence):
    tree(tmp_path, "mvtec_loco")
    (tmp_path / "pushpins/defects_config.json").write_text(content)

    with pytest.raises(InputError) as caught:
        export("mvtec_loco", ready=True)

    (problem,) = caught.value.problems
    assert sentence in problem


def test_loco_without_its_table_is_refused(export, tmp_path):
    tree(tmp_path, "mvtec_loco")
    (tmp_path / "pushpins/defects_config.json").unlink()

    with pytest.raises(InputError, match="there is no pushpins/defects_config.json"):
        export("mvtec_loco", ready=True)


def test_a_value_that_the_table_of_loco_lacks_is_a_problem(export, tmp_path):
    tree(tmp_path, "mvtec_loco")
    mask(tmp_path / "pushpins/ground_truth/logical_anomalies/000/002.png", 237, 237)

    found = export("mvtec_loco", ready=True)

    (problem,) = drawn_masks(found)["pushpins/test/logical_anomalies/000.png"].problems
    assert "237 (2 px)" in problem


def test_ad2_leaves_out_what_has_no_public_truth_and_says_so(export):
    found = export("mvtec_ad2")

    assert splits(found) == {
        "can/train/good/000_regular.png": "train",
        "can/validation/good/000_regular.png": "valid",
        "can/test_public/good/000_regular.png": "test",
        "can/test_public/bad/000_regular.png": "test",
    }
    assert start(drawn_masks(found)["can/test_public/bad/000_regular.png"], 2) == [1, 1]
    assert names(found) == ["defect"]
    assert "2 pictures of test_private and test_private_mixed are left out" in " ".join(found.notes)


def test_the_kinds_of_mpdd_are_its_classes(export):
    found = export("mpdd")

    assert names(found) == ["connector_parts_mismatch", "tubes_anomalous"]
    assert start(drawn_masks(found)["tubes/test/anomalous/000.png"], 1) == [2]


def test_masks_of_btad_have_any_suffix(export):
    found = export("btad")

    assert names(found) == ["01_defect", "02_defect", "03_defect"]
    masks = drawn_masks(found)
    assert start(masks["01/test/ko/0000.bmp"], 1) == [1]
    assert start(masks["02/test/ko/0000.png"], 1) == [2]
    assert start(masks["03/test/ko/0000.bmp"], 1) == [3]
    assert start(masks["01/train/ok/0000.bmp"], 0) == []


def test_magnetic_tiles_are_cut_at_128_and_it_is_said(export):
    found = export("magnetic_tile")

    assert names(found) == ["Blowhole", "Break", "Crack", "Fray", "Uneven"]
    masks = drawn_masks(found)
    assert start(masks["MT_Crack/Imgs/exp1_num_5.jpg"], 4) == [0, 0, 3, 3]
    assert "pixels count from 128 on" in " ".join(found.notes)


def test_an_empty_mask_of_a_defect_is_a_loss(export):
    masks = drawn_masks(export("magnetic_tile"))

    (loss,) = masks["MT_Uneven/Imgs/exp1_num_6.jpg"].losses
    assert loss.endswith("exp1_num_6.png: no pixel of Uneven")
    assert not masks["MT_Free/Imgs/exp1_num_4.jpg"].losses


def test_a_marked_tile_in_mt_free_is_a_problem(export, tmp_path):
    tree(tmp_path, "magnetic_tile")
    mask(tmp_path / "MT_Free/Imgs/exp1_num_4.png", 200)

    (problem,) = drawn_masks(export("magnetic_tile", ready=True))[
        "MT_Free/Imgs/exp1_num_4.jpg"
    ].problems
    assert "200 (1 px). Expected 0." in problem


def test_the_pictures_of_a_kolektor_part_are_one_source(export):
    found = export("kolektor_sdd")

    assert {one.source for one in found.pictures} == {"kos01"}
    masks = drawn_masks(found)
    assert start(masks["kos01/Part0.jpg"], 1) == [1]
    assert start(masks["kos01/Part1.jpg"], 0) == []
    assert not masks["kos01/Part1.jpg"].losses


def test_kolektor2_has_its_own_splits(export):
    found = export("kolektor_sdd2")

    assert splits(found) == {
        "test/20000.png": "test", "train/10000.png": "train", "train/10001.png": "train",
    }  # fmt: skip
    assert start(drawn_masks(found)["test/20000.png"], 2) == [1, 1]


def test_the_views_of_a_part_of_real_iad_are_one_source(export):
    found = export("real_iad")

    assert {one.source for one in found.pictures} == {"usb/OK/S0001", "usb/NG/AK/S0001"}
    assert len(found.pictures) == 6
    assert names(found) == ["AK"]


def test_real_iad_takes_masks_and_labels_from_its_json(export):
    found = export("real_iad")

    masks = drawn_masks(found)
    assert start(masks["usb/NG/AK/S0001/usb_0001_test_AK_C2.jpg"], 2) == [1, 1]
    assert start(masks["usb/NG/AK/S0001/usb_0001_test_OK_C1.jpg"], 0) == []
    assert [path.parent.name for path in found.files] == ["realiad_jsons"]


def test_pictures_of_real_iad_in_two_sizes_need_a_choice(export, tmp_path):
    tree(tmp_path, "real_iad")
    picture(tmp_path / "realiad_256/usb/OK/S0001/usb_0001_train_OK_C1.jpg")

    with pytest.raises(InputError, match=r"several sizes: realiad_1024, realiad_256.*images="):
        export("real_iad", ready=True)


def test_a_defect_of_real_iad_without_a_mask_in_the_json_is_a_problem(export, tmp_path):
    tree(tmp_path, "real_iad")
    for path in tmp_path.rglob("usb.json"):
        path.write_text(path.read_text().replace('"anomaly_class": "OK"', '"anomaly_class": "BX"'))

    problems = export("real_iad", ready=True).problems

    assert len(problems) == 4
    assert "mask_path is null" in problems[0]


def test_a_damaged_entry_of_real_iad_is_named(export, tmp_path):
    tree(tmp_path, "real_iad")
    for path in tmp_path.rglob("usb.json"):
        content = json.loads(path.read_text())
        content["test"][1] = {"image_path": 5}
        path.write_text(json.dumps(content))

    with pytest.raises(InputError, match=r"usb.json test\[1\] image_path: found 5"):
        export("real_iad", ready=True)


def test_dagm_has_labels_for_defects_alone(export):
    found = export("dagm")

    assert splits(found)["Class7/Class7/Train/0001.PNG"] == "train"
    masks = drawn_masks(found)
    assert start(masks["Class7/Class7/Test/0002.PNG"], 1) == [1]
    assert start(masks["Class7/Class7/Test/0001.PNG"], 0) == []
    assert "ellipse" in " ".join(found.notes)


def test_the_numbers_of_neu_seg_are_named_with_a_warning(export):
    found = export("neu_seg")

    assert names(found) == ["inclusion", "patches", "scratches"]
    assert splits(found) == {
        "images/test/000001.jpg": "test",
        "images/training/000201.jpg": "train",
    }
    assert start(drawn_masks(found)["images/test/000001.jpg"], 3) == [3, 1, 2]
    assert "says nowhere which number" in " ".join(found.notes)


def test_a_mask_without_its_picture_is_told(export, tmp_path):
    tree(tmp_path, "mpdd")
    (tmp_path / "tubes/test/anomalous/000.png").unlink()

    notes = " ".join(export("mpdd", ready=True).notes)

    assert "1 masks have no picture and are left out, such as tubes/ground_truth" in notes
