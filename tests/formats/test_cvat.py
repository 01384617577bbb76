"""CVAT's XML becomes the masks that CVAT itself exports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from flexunet_exp.data.annotations.formats.cvat import Cvat
from flexunet_exp.data.annotations.place import Place
from tests.support import exports

META = """<meta><task><labels>
  <label><name>scratch</name><color>#ff8000</color></label>
  <label><name>dent</name><color>#0000ff</color></label>
</labels></task></meta>"""


def task(
    folder: Path, *shapes: str, meta: str = META, size: str = 'width="20" height="10"'
) -> Path:
    """A folder with one picture of 20 x 10 pixels and the XML of its shapes."""
    exports.save(folder / "a.png", (10, 20))
    image = f'<image id="0" name="a.png" {size}>{"".join(shapes)}</image>'
    exports.write(
        folder / "annotations.xml",
        f"<annotations><version>1.1</version>{meta}{image}</annotations>",
    )
    return folder


def test_masks_are_those_that_datumaro_draws_for_cvat() -> None:
    export = exports.read(Cvat(), exports.FILES / "cvat")
    colours = np.array(Image.open(exports.FILES / "voc/SegmentationClass/a.png").convert("RGB"))
    voc = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)]  # background, then the labels
    theirs = sum(n * (colours == colour).all(axis=2) for n, colour in enumerate(voc))
    assert [one.name for one in export.classes] == ["scratch", "dent", "pore"]
    np.testing.assert_array_equal(exports.mask(export, "a.png"), theirs)


def test_hundredths_of_a_pixel_are_rounded_as_pycocotools_rounds_doubles(tmp_path: Path) -> None:
    points = [5.2, 1.1, 18.7, 2.1, 9.4, 8.9]
    text = ";".join(f"{x:.2f},{y:.2f}" for x, y in zip(points[::2], points[1::2], strict=True))
    export = exports.read(Cvat(), task(tmp_path, f'<polygon label="scratch" points="{text}"/>'))
    (runs,) = coco.frPyObjects([points], 10, 20)
    np.testing.assert_array_equal(exports.mask(export, "a.png"), coco.decode(runs))


def test_a_file_for_each_subset_is_a_split_and_empty_frames_are_good() -> None:
    export = exports.read(Cvat(), exports.FILES / "cvat")
    assert {one.name: one.split for one in export.pictures} == {
        "images/a.png": "train",
        "images/b.png": "valid",
    }
    good = exports.named(export, "b.png")
    assert good.done
    assert not good.objects


def test_colours_and_order_of_classes_are_those_of_the_task(tmp_path: Path) -> None:
    export = exports.read(Cvat(), task(tmp_path))
    assert [(one.name, one.colour) for one in export.classes] == [
        ("scratch", (255, 128, 0)),
        ("dent", (0, 0, 255)),
    ]


def test_points_of_a_skeleton_are_no_classes(tmp_path: Path) -> None:
    label = "<label><name>tip</name><parent>hook</parent></label></labels>"
    export = exports.read(Cvat(), task(tmp_path, meta=META.replace("</labels>", label)))
    assert [one.name for one in export.classes] == ["scratch", "dent"]


def test_runs_of_a_mask_go_by_rows_within_its_box(tmp_path: Path) -> None:
    mask = '<mask label="dent" rle="1, 2, 2, 1" left="4" top="3" width="3" height="2" z_order="0"/>'
    drawn = exports.mask(exports.read(Cvat(), task(tmp_path, mask)), "a.png")
    assert np.argwhere(drawn == 2).tolist() == [[3, 5], [3, 6], [4, 6]]


def test_a_box_turns_clockwise_about_its_centre(tmp_path: Path) -> None:
    box = '<box label="dent" xtl="4" ytl="4" xbr="12" ybr="6" rotation="90" z_order="0"/>'
    rows, columns = np.nonzero(exports.mask(exports.read(Cvat(), task(tmp_path, box)), "a.png"))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 8, 7, 8)


def test_a_higher_z_order_lies_on_top_whatever_the_order_of_the_file(tmp_path: Path) -> None:
    shape = '<box label="{}" xtl="2" ytl="2" xbr="8" ybr="8" z_order="{}"/>'
    export = exports.read(
        Cvat(), task(tmp_path, shape.format("scratch", 1), shape.format("dent", 0))
    )
    assert set(np.unique(exports.mask(export, "a.png"))) == {0, 1}


def test_grouped_shapes_keep_their_own_labels(tmp_path: Path) -> None:
    shape = '<box label="{}" xtl="{}" ytl="2" xbr="8" ybr="8" z_order="0" group_id="1"/>'
    export = exports.read(
        Cvat(), task(tmp_path, shape.format("scratch", 2), shape.format("dent", 6))
    )
    assert set(np.unique(exports.mask(export, "a.png"))) == {0, 1, 2}


@pytest.mark.parametrize(
    ("shape", "asked"),
    [
        ('<polyline label="dent" points="1,1;5,5" z_order="0"/>', "line_width=3"),
        ('<points label="dent" points="1,1;5,5" z_order="0"/>', "point_radius=5"),
        (
            '<skeleton label="dent"><points label="1" outside="0" points="1,1"/></skeleton>',
            "radius",
        ),
        (
            '<cuboid label="dent" xtl1="1" ytl1="1" xbl1="1" ybl1="5" xtr1="4" ytr1="1" xbr1="4" '
            'ybr1="5" xtl2="2" ytl2="0" xbl2="2" ybl2="4" xtr2="5" ytr2="0" xbr2="5" ybr2="4"/>',
            "boxes=fill",
        ),
    ],
)
def test_shapes_that_cvat_draws_nowhere_ask_how(tmp_path: Path, shape: str, asked: str) -> None:
    (problem,) = exports.draw(exports.read(Cvat(), task(tmp_path, shape)), "a.png").problems
    assert asked in problem


def test_deleted_frames_stay_out_and_are_told(tmp_path: Path) -> None:
    exports.save(tmp_path / "deleted.png", (10, 20))
    export = exports.read(Cvat(), task(tmp_path))
    assert [one.name for one in export.pictures] == ["a.png"]
    assert "deleted.png" in export.notes[0]


def test_tags_are_told(tmp_path: Path) -> None:
    export = exports.read(Cvat(), task(tmp_path, '<tag label="dent" source="manual"/>'))
    assert export.notes == ("1 tags are of whole pictures: they are not in the masks.",)


def test_a_project_has_pictures_of_one_name_in_its_subsets(tmp_path: Path) -> None:
    image = '<image id="0" name="a.png" subset="{}" task_id="1" width="20" height="10"/>'
    for subset in ("Train", "Validation"):
        exports.save(tmp_path / "images" / subset / "a.png", (10, 20))
    images = image.format("Train") + image.format("Validation")
    exports.write(tmp_path / "annotations.xml", f"<annotations><meta/>{images}</annotations>")
    export = exports.read(Cvat(), tmp_path)
    assert [(one.name, one.split) for one in export.pictures] == [
        ("images/Train/a.png", "train"),
        ("images/Validation/a.png", "valid"),
    ]


def test_one_subset_alone_is_no_split(tmp_path: Path) -> None:
    meta = META.replace("<labels>", "<subset>train</subset><labels>")
    assert exports.named(exports.read(Cvat(), task(tmp_path, meta=meta)), "a.png").split == ""


def test_frames_of_a_video_have_a_suffix_that_the_xml_lacks(tmp_path: Path) -> None:
    exports.save(tmp_path / "images" / "frame_000000.PNG", (10, 20))
    image = '<image id="0" name="frame_000000" width="20" height="10"/>'
    exports.write(tmp_path / "annotations.xml", f"<annotations><meta/>{image}</annotations>")
    assert exports.read(Cvat(), tmp_path).pictures[0].file


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ('<polygon label="dent" points="1,1;5,5"/>', "polygon of 2 points"),
        ('<polygon label="dent" points="1,1;5;7,7"/>', "expected points"),
        ('<polygon label="dent" points="1,1;5,x;7,7"/>', "found 'x', expected a number"),
        ('<polygon points="1,1;5,2;7,7"/>', "has no 'label'"),
        ('<box label="dent" xtl="1" ytl="2"/>', "has no xbr, ybr"),
        ('<spline label="dent"/>', "expected one of: polygon"),
    ],
)
def test_damaged_shapes_are_named_with_their_place(tmp_path: Path, shape: str, said: str) -> None:
    (problem,) = exports.problems_of(Cvat(), task(tmp_path, shape))
    assert problem.startswith("annotations.xml image 'a.png'")
    assert said in problem


def test_all_problems_of_a_file_come_at_once(tmp_path: Path) -> None:
    wrong = '<polygon label="dent" points="1,1;5,5"/>'
    assert len(exports.problems_of(Cvat(), task(tmp_path, wrong, wrong))) == 2


def test_cvat_for_video_says_what_to_export(tmp_path: Path) -> None:
    exports.write(tmp_path / "annotations.xml", "<annotations><meta/><track/></annotations>")
    (problem,) = exports.problems_of(Cvat(), tmp_path)
    assert "CVAT for images 1.1" in problem


def test_giant_ellipses_end_at_the_edge_of_the_picture(tmp_path: Path) -> None:
    ellipse = '<ellipse label="dent" cx="1e300" cy="-9" rx="1e300" ry="40" rotation="3"/>'
    exports.draw(exports.read(Cvat(), task(tmp_path, ellipse)), "a.png")


def test_the_xml_of_pascal_voc_is_another_format(tmp_path: Path) -> None:
    exports.write(tmp_path / "a.xml", "<annotation><folder>x</folder></annotation>")
    assert not Cvat().recognises(Place(tmp_path))
