"""Volumes: the same masks as their slices as pictures, in files like theirs; and bad files."""

from __future__ import annotations

import csv
import gzip
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import cv2
import h5py
import nibabel
import numpy as np
import pytest
import SimpleITK
from PIL import Image

from flexunet_exp.commands.infer import pipeline, settings
from flexunet_exp.commands.infer.volumes import VolumeOptions
from flexunet_exp.data import find_pictures
from flexunet_exp.data.channels import Channels
from flexunet_exp.data.volumes.volume import SUFFIXES
from flexunet_exp.decisions.file import ESTIMATE, Decision
from flexunet_exp.errors import InputError
from tests.support import running
from tests.support.running import flexunet
from tests.support.standin import SIDE, draw, infer, trained

AFFINE = np.array([[0.0, -0.5, 0, 7], [0.6, 0, 0, -8], [0, 0, 2, 9], [0, 0, 0, 1]])
SPACING, ORIGIN = (0.6, 0.5, 2.0), (7.0, -8.0, 9.0)
DIRECTION = (0.0, 1, 0, -1, 0, 0, 0, 0, 1)


@pytest.fixture
def voxels() -> np.ndarray:
    """A volume (z, y, x) of three unlike sides, with grey values of all classes."""
    blocks = np.random.default_rng(3).choice([0, 128, 255], (5, 6, 7), p=[0.6, 0.2, 0.2])
    return blocks.repeat(2, 0).repeat(3, 1).repeat(4, 2).astype(np.uint8)  # (10, 18, 28)


def save(path: Path, voxels: np.ndarray, slope: float = 1, intercept: float = 0) -> Path:
    """Writes a volume with the library of its format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, voxels)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("scan/image", data=voxels, compression="gzip")
            file["scan/image"].attrs["element_size_um"] = (2.0, 0.5, 0.6)
    elif path.suffix == ".mha":
        image = SimpleITK.GetImageFromArray(voxels)
        image.SetSpacing(SPACING)
        image.SetOrigin(ORIGIN)
        image.SetDirection(DIRECTION)
        SimpleITK.WriteImage(image, str(path), useCompression="packed" in path.name)
    else:
        image = nibabel.Nifti1Image(voxels.T, AFFINE)
        image.header.set_slope_inter(slope, intercept)
        image.header.set_xyzt_units("mm")
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"of the scanner"))
        nibabel.save(image, path)
    return path


def load(path: Path) -> np.ndarray:
    """Reads a mask (z, y, x) with the library of its format."""
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            return file["scan/image"][:]
    if path.suffix == ".mha":
        return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    return np.asarray(nibabel.load(path).dataobj).T


def predicted(source: Path, output: Path, *, network=None, **options):
    """Predicts with `volume.*` of these options."""
    own = VolumeOptions(**({"key": "scan/image"} | options))
    return infer(source, output, network, volume=own)


def as_pictures(slices: np.ndarray, folder: Path) -> np.ndarray:
    """The masks that `infer` gives for slices (n, H, W) that are saved as grey PNG."""
    (folder / "png").mkdir(parents=True)
    for index, one in enumerate(slices):
        Image.fromarray(one).save(folder / f"png/{index:03d}.png")
    infer(folder / "png", folder / "out")
    return np.stack([np.array(Image.open(path)) for path in sorted(folder.glob("out/masks/*.png"))])


def decided(least: int) -> Decision:
    """A decision that stops for regions of at least `least` pixels."""
    rule = {"threshold": 0.5, "min_area": least, "min_probability": 0.0}
    rules = {"scratch": rule, "dent": rule}
    return Decision("default", ESTIMATE, "part", "hand", {}, rules, [], {}, {}, 0.5, {})


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", [*(f"scan{suffix}" for suffix in SUFFIXES), "packed.mha"])
def test_a_mask_is_that_of_the_slices_as_pictures(tmp_path, voxels, name):
    expected = as_pictures(voxels, tmp_path / "flat")
    assert len(np.unique(expected)) == 3

    report = predicted(save(tmp_path / name, voxels), tmp_path / "out")

    assert (report.done, report.slices, report.refused) == (1, 10, {})
    mask = load(tmp_path / "out/masks" / name)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_along_any_axis_are_turned_and_their_masks_turned_back(tmp_path, axis, turn):
    # The networks of tests decide by grey values alone: this one sees where left and right are.
    class LeftIsDent:
        inputs = (np.zeros(0, np.uint8),)
        weights = ()

        def predict_on_batch(self, pictures):
            logits = np.zeros((*pictures.shape[:3], 3), np.float32)
            logits[:, :, :16, 2] = 9
            return logits

    network = trained()
    network.predictor.model = LeftIsDent()
    shape = (10, 18, 28)
    predicted(
        save(tmp_path / "scan.npy", np.zeros(shape, np.uint8)),
        tmp_path / "out",
        network=network,
        axis=axis,
        turn=turn,
    )

    mask = load(tmp_path / "out/masks/scan.npy")
    sides = [side for number, side in enumerate(shape) if number != axis]
    # A clockwise turn brings the lowest row to the left, two turns the right side, three the top.
    where, starts = {0: (1, True), 90: (0, False), 180: (1, False), 270: (0, True)}[turn]
    half = sides[where] // 2
    plane = np.zeros(sides, np.uint8)
    rows = np.moveaxis(plane, where, 0)
    rows[slice(0, half) if starts else slice(sides[where] - half, None)] = 2
    np.testing.assert_array_equal(mask, np.stack([plane] * shape[axis], axis=axis))


def test_nifti_keeps_its_place_in_space_and_its_notes(tmp_path, voxels):
    scan = save(tmp_path / "scan.nii.gz", voxels.astype(np.int16), slope=2, intercept=-10)
    predicted(scan, tmp_path / "out", window=(-10, 500))

    source, mask = nibabel.load(scan), nibabel.load(tmp_path / "out/masks/scan.nii.gz")
    np.testing.assert_array_equal(mask.affine, source.affine)
    assert mask.header.get_zooms() == source.header.get_zooms()
    assert mask.header.get_xyzt_units() == source.header.get_xyzt_units()
    assert mask.header["qform_code"] == source.header["qform_code"]
    assert mask.header["sform_code"] == source.header["sform_code"]
    assert mask.header.extensions == source.header.extensions
    assert mask.get_data_dtype() == np.uint8
    with gzip.open(tmp_path / "out/masks/scan.nii.gz") as file:  # loading an image resets them
        stored = nibabel.Nifti1Header.from_fileobj(file)
    assert stored.get_slope_inter() == (1, 0)


def test_a_nifti_of_one_time_is_a_volume(tmp_path, voxels):
    nibabel.save(nibabel.Nifti2Image(voxels.T[..., None], AFFINE), tmp_path / "scan.nii")
    predicted(tmp_path / "scan.nii", tmp_path / "out")

    mask = nibabel.load(tmp_path / "out/masks/scan.nii")
    assert isinstance(mask, nibabel.Nifti2Image) and mask.shape == (28, 18, 10, 1)
    expected = as_pictures(voxels, tmp_path / "flat")
    np.testing.assert_array_equal(np.asarray(mask.dataobj)[..., 0].T, expected)


@pytest.mark.parametrize("name", ["scan.mha", "packed.mha"])
def test_meta_image_keeps_its_place_in_space(tmp_path, voxels, name):
    predicted(save(tmp_path / name, voxels), tmp_path / "out")

    mask = SimpleITK.ReadImage(str(tmp_path / "out/masks" / name))
    assert mask.GetSpacing() == SPACING and mask.GetOrigin() == ORIGIN
    assert mask.GetDirection() == DIRECTION
    assert mask.GetPixelID() == SimpleITK.sitkUInt8


def test_hdf5_keeps_the_attributes_of_its_data_set(tmp_path, voxels):
    predicted(save(tmp_path / "scan.h5", voxels), tmp_path / "out")

    with h5py.File(tmp_path / "out/masks/scan.h5") as file:
        assert list(file["scan/image"].attrs["element_size_um"]) == [2.0, 0.5, 0.6]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["i1", "u2", "i4", "f4", "f8"])
@pytest.mark.parametrize("suffix", [".nii", ".mha", ".npy", ".h5"])
def test_numbers_of_every_type_are_read(tmp_path, suffix, kind, order):
    values = np.random.default_rng(0).integers(0, 2, (3, SIDE, SIDE)).astype(order + kind)
    scan = save(tmp_path / f"scan{suffix}", values.astype(kind) if suffix == ".mha" else values)
    if suffix == ".mha" and order == ">":  # SimpleITK writes the order of the machine
        head, last, _ = scan.read_bytes().partition(b"ElementDataFile = LOCAL\n")
        head = head.replace(b"OrderMSB = False", b"OrderMSB = True")
        scan.write_bytes(head + last + values.tobytes())
    predicted(scan, tmp_path / "out", window=(0, 1))

    expected = np.where(values == 1, 2, 0)
    np.testing.assert_array_equal(load(tmp_path / f"out/masks/scan{suffix}"), expected)


def test_windows_are_of_the_volume_of_a_slice_or_as_given(tmp_path):
    values = np.zeros((4, 20, 20), np.float32)
    values[:] = np.linspace(-1000, 3000, 400).reshape(20, 20)
    values[3] /= 1000
    values[0, 0, 0] = 1e6  # an outlier, which percentiles leave out
    scan = save(tmp_path / "scan.nii", values, slope=0.5, intercept=3)
    values = values.astype(np.float64) * 0.5 + 3  # what the file says that its values are
    low, high = np.percentile(values, (0.5, 99.5))
    least, most = (edge(values, axis=(1, 2), keepdims=True) for edge in (np.min, np.max))
    for name, window, start, end in (
        ("auto", "auto", low, high),
        ("slice", "slice", least, most),
        ("given", (-100, 700), -100, 700),
    ):
        predicted(scan, tmp_path / name, window=window)
        greys = np.rint(np.clip((values - start) / (end - start), 0, 1) * 255).astype(np.uint8)
        expected = as_pictures(greys, tmp_path / f"flat {name}")
        np.testing.assert_array_equal(load(tmp_path / name / "masks/scan.nii"), expected)


def test_a_slice_of_one_value_is_black(tmp_path):
    scan = save(tmp_path / "scan.npy", np.full((3, 8, 8), 7.5))
    for window in ("auto", "slice"):
        assert predicted(scan, tmp_path / window, window=window).with_defect == 0


def test_tables_have_a_row_a_volume_and_the_slice_of_each_region(tmp_path):
    voxels = np.zeros((10, SIDE, SIDE), np.uint8)
    voxels[2, 3:6, 10:20], voxels[7, 0:4, 0:5] = 128, 255
    save(tmp_path / "in/scan.nii.gz", voxels)
    draw(tmp_path / "in/flat.png", ("dent", 4, 6, 3, 3))
    predicted(tmp_path / "in", tmp_path / "out")

    flat, deep = table(tmp_path / "out/summary.csv")
    assert (flat["slices"], deep["slices"]) == ("", "10")
    assert (deep["mask"], deep["width"], deep["height"]) == ("masks/scan.nii.gz", "32", "32")
    assert (deep["area/scratch"], deep["area/dent"], deep["num_regions"]) == ("30", "20", "2")
    assert float(deep["share"]) == pytest.approx(50 / voxels.size, rel=1e-5)
    assert float(deep["anomaly"]) > 0.99 and flat["mask"] == "masks/flat.png"
    rows = [
        (row["file"], row["slice"], row["class"]) for row in table(tmp_path / "out/regions.csv")
    ]
    assert rows == [
        ("flat.png", "", "dent"), ("scan.nii.gz", "2", "scratch"), ("scan.nii.gz", "7", "dent")
    ]  # fmt: skip


def test_volumes_and_pictures_of_one_name_stand_beside_each_other(tmp_path, voxels):
    for suffix in (".npy", ".nii.gz", ".nii"):
        save(tmp_path / f"in/a{suffix}", voxels)
    draw(tmp_path / "in/a.png")
    save(tmp_path / "in/b.nii.gz", voxels)
    predicted(tmp_path / "in", tmp_path / "out")

    names = {path.name for path in (tmp_path / "out/masks").iterdir()}
    assert names == {"a.npy.npy", "a.nii.gz.nii.gz", "a.nii.nii", "a.png.png", "b.nii.gz"}
    again = predicted(tmp_path / "in", tmp_path / "out")
    assert (again.done, again.already) == (0, 5)


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_a_video_has_a_frame_for_each_slice(tmp_path, kind):
    values = np.zeros((6, 64, 121), np.uint8)
    for index in range(6):
        values[index, 8 * index : 8 * index + 8, 40:80] = 255
    predicted(save(tmp_path / "scan.npy", values), tmp_path / "out", video=kind, fps=5)

    video = cv2.VideoCapture(str(tmp_path / f"out/overlays/scan.{kind}"))
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1][..., ::-1].astype(int))
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(5) and len(frames) == 6
    assert all(side % 2 == 0 for side in frames[0].shape[:2])
    for index, frame in enumerate(frames):  # a dent is blue over white
        inside = frame[8 * index + 2 : 8 * index + 6, 44:76].mean(axis=(0, 1))
        assert inside[2] > inside[0] + 50 and inside[0] > 50
        assert frame[8 * (5 - index) + 2, 44:76].max() < 60
    assert predicted(tmp_path / "scan.npy", tmp_path / "out", video=kind, fps=5).already == 1
    other = {"gif": "mp4", "mp4": "gif"}[kind]
    assert predicted(tmp_path / "scan.npy", tmp_path / "out", video=other).done == 1


def test_a_video_of_other_frames_a_second_is_made_again(tmp_path, voxels):
    scan, out = save(tmp_path / "scan.npy", voxels), tmp_path / "out"
    durations = []
    for fps in (2, 20):
        assert predicted(scan, out, video="gif", fps=fps).done == 1
        with Image.open(out / "overlays/scan.gif") as video:
            durations.append(video.info["duration"])
    assert durations[0] == 10 * durations[1]
    assert predicted(scan, out, video="gif", fps=20).already == 1
    assert predicted(scan, out, fps=2).already == 1  # without a video


def test_a_video_of_an_older_record_is_kept(tmp_path, voxels):
    scan, out = save(tmp_path / "scan.npy", voxels), tmp_path / "out"
    predicted(scan, out, video="gif", fps=2)
    kept = out / "records.jsonl"
    older = kept.read_text().replace(', "video": "gif 2"', "")
    assert older != kept.read_text()
    kept.write_text(older)
    assert predicted(scan, out, video="gif", fps=20).already == 1


def test_a_video_of_a_volume_that_changed_or_is_refused_now_is_removed(tmp_path, voxels):
    scan, video = tmp_path / "scan.npy", tmp_path / "out/overlays/scan.gif"
    predicted(save(scan, voxels), tmp_path / "out", video="gif")
    assert predicted(scan, tmp_path / "out").already == 1 and video.exists()
    predicted(save(scan, voxels[::-1]), tmp_path / "out")
    assert not video.exists() and (tmp_path / "out/masks/scan.npy").exists()
    scan.write_bytes(b"broken")
    assert len(predicted(scan, tmp_path / "out").refused) == 1
    assert not (tmp_path / "out/masks/scan.npy").exists()


def test_a_volume_that_did_not_change_keeps_its_files_where_it_is_refused(tmp_path, voxels):
    scan = save(tmp_path / "scan.npy", voxels)
    predicted(scan, tmp_path / "out", video="gif")
    asked = VolumeOptions(key="scan/image", video="mp4")
    assert infer(scan, tmp_path / "out", volume=asked, probabilities=True).refused
    assert (tmp_path / "out/overlays/scan.gif").exists()


def test_a_decision_stops_a_volume_for_its_worst_slice(tmp_path):
    values = np.zeros((4, 32, 32), np.uint8)
    values[1, :4, :4], values[3, :10, :10] = 255, 255
    scan = save(tmp_path / "scan.npy", values)
    rows = {}
    for least in (20, 200):
        output = tmp_path / f"out {least}"
        found = find_pictures.find([str(scan)], output, SUFFIXES)
        pipeline.infer(trained(), found, output, pipeline.Options(), "run A", decided(least))
        (rows[least],) = table(output / "summary.csv")
    assert (rows[20]["decision"], rows[200]["decision"]) == ("stop", "pass")
    assert rows[20]["area/dent"] == "100"  # the smaller region does not count


def test_other_options_of_volumes_are_refused_and_named(tmp_path, voxels):
    scan = save(tmp_path / "scan.npy", voxels)
    predicted(scan, tmp_path / "out", key="image")

    with pytest.raises(InputError, match=r"\(volume.axis=not given\).*\(volume.axis=1\)"):
        predicted(scan, tmp_path / "out", key="image", axis=1)
    assert predicted(scan, tmp_path / "out", key="image", fps=20).already == 1
    predicted(scan, tmp_path / "narrow", window=(0, 100))
    assert predicted(scan, tmp_path / "narrow", window=(0, 100)).already == 1
    own = VolumeOptions(axis=1)
    infer(draw(tmp_path / "flat.png"), tmp_path / "out", volume=own, overwrite=True)
    assert not (tmp_path / "out/masks/scan.npy").exists()


@pytest.mark.parametrize("moment", ["put", "write"])
def test_after_kill_9_only_the_volume_in_work_is_predicted_again(tmp_path, voxels, moment):
    for name in "abc":
        save(tmp_path / f"in/{name}.nii.gz", voxels)
    where, nth = {
        "put": ("flexunet_exp.data.volumes.slices:Slices.put", 15),
        "write": ("flexunet_exp.data.volumes.nifti:write_planes", 2),
    }[moment]
    script = running.SUPPORT / "standin.py"
    words = [
        sys.executable,
        str(script),
        str(tmp_path / "in"),
        str(tmp_path / "out"),
        where,
        str(nth),
    ]
    environment = {**os.environ, "PYTHONPATH": str(running.ROOT)}
    killed = subprocess.run(words, capture_output=True, env=environment)
    assert killed.returncode == -9, killed.stderr.decode()
    assert [path.name for path in tmp_path.glob("out/masks/[!.]*")] == ["a.nii.gz"]

    report = infer(tmp_path / "in", tmp_path / "out")

    assert (report.already, report.done) == (1, 2)
    names = {path.name for path in (tmp_path / "out/masks").iterdir()}
    assert names == {"a.nii.gz", "b.nii.gz", "c.nii.gz"}
    others = {path.name for path in (tmp_path / "out").iterdir()}
    assert others == {"masks", "records.jsonl", "regions.csv", "summary.csv"}


class Trap:
    """What a pickle runs when it is unpacked."""

    def __reduce__(self):
        return (open, ("unpickled", "w"))


def bad_files(folder: Path, voxels: np.ndarray) -> dict[str, str]:
    """Writes volumes that cannot be predicted: name → what is said of it."""
    said = {}

    def put(name: str, says: str, content: bytes | np.ndarray) -> None:
        said[name] = says
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            save(folder / name, content)

    whole = {
        suffix: save(folder / f"whole{suffix}", voxels).read_bytes()
        for suffix in (*SUFFIXES, "_packed.mha")
    }
    for suffix, content in whole.items():
        (folder / f"whole{suffix}").unlink()
        put(f"cut{suffix}", "cut off", content[: len(content) // 2])
        put(f"head{suffix}", "cut off", content[:50])
        put(f"text{suffix}", "no readable", b"no volume at all\n" * 40)
        put(f"empty{suffix}", "the file is empty", b"")
    flipped = bytearray(whole["_packed.mha"])
    flipped[-1] ^= 255  # of the checksum
    put("flipped_packed.mha", "no readable", bytes(flipped))
    flipped = bytearray(whole[".nii.gz"])
    flipped[len(flipped) // 2] ^= 255
    put("flipped.nii.gz", "no readable", bytes(flipped))
    unlike = bytearray(whole[".nii"])
    unlike[42:48] = b"\xff\x7f" * 3  # 32767 on each axis
    put("huge.nii", "slices of up to", bytes(unlike))
    put("huge.nii.gz", "slices of up to", gzip.compress(bytes(unlike)))
    unlike[42:48] = b"\x00\x00" * 3
    put("none.nii", "the volume is empty (0 × 0 × 0)", bytes(unlike))
    mha = whole[".mha"]
    put(
        "huge.mha",
        "GiB of voxels",
        mha.replace(b"DimSize = 28 18 10", b"DimSize = 10000 10000 10000"),
    )
    put("other.mha", "expected LOCAL", mha.replace(b"= LOCAL", b"= ../../secret.raw"))
    put(
        "colour.mha",
        "3 channels",
        mha.replace(b"ObjectType", b"ElementNumberOfChannels = 3\nObjectType"),
    )
    put(
        "ascii.mha", "its voxels are text", mha.replace(b"BinaryData = True", b"BinaryData = False")
    )
    put("line.npy", "1 axes (9), expected three", np.zeros(9))
    put("flat.npy", "2 axes", np.zeros((9, 9)))
    put("four.npy", "4 axes (2 × 3 × 4 × 5)", np.zeros((2, 3, 4, 5)))
    put("four.nii", "4 axes", np.zeros((2, 3, 4, 5)))
    put("none.npy", "the volume is empty", np.zeros((0, 5, 5)))
    put("complex.npy", "of the type complex128", np.zeros((2, 3, 4), complex))
    put("bool.npy", "of the type bool", np.zeros((2, 3, 4), bool))
    put("names.npy", "holds colours", np.zeros((2, 3, 4), [("r", "u1"), ("g", "u1")]))
    put("objects.npy", "Python objects, which are never unpacked", np.full((2, 3, 4), Trap()))
    put("pickle.npy", "no readable .npy", pickle.dumps(Trap()))
    for suffix in (".npy", ".nii.gz", ".h5"):
        values = voxels.astype(np.float32)
        values[7, 1, 1] = np.nan
        put(f"nan{suffix}", "slice 7 holds NaN", values)
    values[7, 1, 1] = np.inf
    put("infinite.mha", "slice 7 holds NaN or infinite", values)
    with h5py.File(folder / "secret.hdf5", "w") as file:
        file["scan/image"] = voxels
    with h5py.File(folder / "key.h5", "w") as file:
        file["scan/imaged"] = voxels
        said["key.h5"] = "its data sets: scan/imaged. Did you mean 'scan/imaged'?"
    with h5py.File(folder / "group.h5", "w") as file:
        file["scan/image/0"] = voxels
        said["group.h5"] = "no data set 'scan/image'"
    with h5py.File(folder / "link.h5", "w") as file:
        file["scan/image"] = h5py.ExternalLink("secret.hdf5", "/scan/image")
        said["link.h5"] = "no data set 'scan/image' in the file itself"
    with h5py.File(folder / "way.h5", "w") as file:
        file["scan"] = h5py.ExternalLink("secret.hdf5", "/scan")
        said["way.h5"] = "no data set 'scan/image' in the file itself"
    with h5py.File(folder / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout(voxels.shape, voxels.dtype)
        layout[:] = h5py.VirtualSource("secret.hdf5", "scan/image", voxels.shape)
        file.create_virtual_dataset("scan/image", layout)
        said["virtual.h5"] = "lie in other files"
    with h5py.File(folder / "words.h5", "w") as file:
        file["scan/image"] = np.full((2, 3, 4), "word", object)
        said["words.h5"] = "Python objects"
    (folder / "folder.npy").mkdir()
    return said


def test_what_is_no_volume_is_refused_with_its_reason_and_the_rest_goes_on(
    tmp_path, voxels, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    said = bad_files(tmp_path / "in", voxels)
    save(tmp_path / "in/good.nii.gz", voxels)
    report = predicted(tmp_path / "in", tmp_path / "out")

    reasons = {picture.path.name: reason for picture, reason in report.refused.items()}
    assert set(reasons) == set(said) and report.done == 1
    wrong = {name: reasons[name] for name, words in said.items() if words not in reasons[name]}
    assert not wrong
    assert all(str(tmp_path / "in" / name) in reason for name, reason in reasons.items())
    assert not Path("unpickled").exists()
    made = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert made <= {"good.nii.gz", "records.jsonl", "records.lock", "regions.csv", "summary.csv"}


@pytest.mark.parametrize(
    ("channels", "options", "says"),
    [
        (Channels(5), {}, "the network takes pictures of dataset.channels=5"),
        (Channels(2, ("left", "right")), {}, r"dataset.channels=\[left,right\]"),
        (Channels(), {"probabilities": True}, "probabilities=true writes those of pictures"),
    ],
)
def test_what_volumes_cannot_be_asked_for_is_said(tmp_path, voxels, channels, options, says):
    network = trained()
    network.channels = channels
    report = infer(save(tmp_path / "a.npy", voxels), tmp_path / "out", network, **options)

    (reason,) = report.refused.values()
    assert re.search(says, reason)


def test_the_command_gives_a_volume_the_masks_of_its_slices(workspace, run_folder):
    pictures = (
        sorted(workspace.glob("**/test/*/*.png"))[:3]
        or sorted(run_folder.glob("evaluation/test/predictions/*.png"))[:3]
    )
    slices = np.stack(
        [np.array(Image.open(path).convert("L").resize((70, 50))) for path in pictures]
    )
    save(workspace / "in/scan.nii.gz", slices)
    for index, one in enumerate(slices):
        Image.fromarray(one).save(workspace / f"in/{index}.png")
    words = ("infer", f"run={run_folder}", "tracking=none", "input=in", "output=deep")
    done = flexunet(workspace, *words, "volume.video=mp4")

    assert done.returncode == 0, done.stdout
    assert "3 pictures and 1 volume of 3 slices predicted" in done.stdout
    mask = load(workspace / "deep/masks/scan.nii.gz")
    for index in range(3):
        np.testing.assert_array_equal(
            mask[index], np.array(Image.open(workspace / f"deep/masks/{index}.png"))
        )
    assert (workspace / "deep/overlays/scan.mp4").stat().st_size > 1000


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("volume.axis=3", "volume.axis=3 is not a whole number from 0 to 2"),
        ("volume.turn=45", "is not 0, 90, 180 or 270. Try volume.turn=90"),
        ("volume.window=[9,3]", "auto, slice or"),
        ("volume.window=all", "auto, slice or"),
        ("volume.video=avi", "none, gif or mp4"),
        ("volume.fps=0", "from 1 to 50"),
        ("volume.key=''", "volume.key"),
    ],
)
def test_wrong_options_are_sentences(compose, word, says):
    with pytest.raises(InputError) as caught:
        settings.check(compose("infer", "input=a", "output=out", word))
    assert says in str(caught.value)
