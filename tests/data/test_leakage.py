"""Copies across splits: found in whatever way they were made, and different pictures left alone."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import pytest

from flexunet_exp.data import fingerprints, leakage, masks, splits, synthetic

NAMES = ("grid", "screw", "zipper")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> dict[str, list[np.ndarray]]:
    """Generated pictures of 192 px, and none of them twice."""
    found = {}
    for name in NAMES:
        folder = tmp_path_factory.mktemp(name)
        synthetic.generate(folder, name, images_per_class=3, good=6, size=192, seed=5)
        paths = sorted([*folder.glob("test/*/*.png")])
        found[name] = [masks.read_image(path) for path in paths]
    return found


def jpeg(image: np.ndarray) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 1)


def brightened(image: np.ndarray) -> np.ndarray:
    return np.clip(image * 1.2 + 10.0, 0, 255).astype(np.uint8)


COPIES = {
    "mirrored": np.fliplr,
    "upside down": np.flipud,
    "turned by 90°": np.rot90,
    "turned by 180°": lambda image: np.rot90(image, 2),
    "turned by 270°": lambda image: np.rot90(image, 3),
    "mirrored and turned by 90°": lambda image: np.rot90(np.fliplr(image)),
    "mirrored and turned by 270°": lambda image: np.rot90(np.fliplr(image), 3),
    "": jpeg,
    "brightened": brightened,
    "half": lambda image: cv2.resize(image, (96, 96), interpolation=cv2.INTER_AREA),
}


def prints(images: list[np.ndarray]) -> list[np.ndarray]:
    return [fingerprints.fingerprint(np.ascontiguousarray(image)) for image in images]


@pytest.mark.parametrize("name", NAMES)
def test_different_pictures_are_not_alike(pictures, name):
    own = prints(pictures[name])
    found = {(a.first, a.second) for a in fingerprints.alike(own, own)}
    assert found == {(number, number) for number in range(len(own))}


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("name", NAMES)
def test_a_copy_is_alike_its_original_alone_and_its_view_is_named(pictures, name, copy):
    own, copies = prints(pictures[name]), prints([COPIES[copy](one) for one in pictures[name]])
    found = list(fingerprints.alike(own, copies))
    assert [(one.first, one.second) for one in found] == [(n, n) for n in range(len(own))]
    # A pattern may look the same from two sides; the distance says how surely.
    if copy in fingerprints.VIEWS and name == "screw":
        assert {one.view for one in found} == {copy}


def test_blocks_do_not_change_what_is_found(pictures, monkeypatch):
    own = prints([one for name in NAMES for one in pictures[name]])
    whole = list(fingerprints.alike(own, own[::-1]))
    monkeypatch.setattr(fingerprints, "BLOCK", 7)
    parts = list(fingerprints.alike(own, own[::-1]))
    assert [one[:3] for one in parts] == [one[:3] for one in whole] and len(whole) == len(own)


@pytest.mark.parametrize("seed", range(8))
def test_of_many_pictures_no_pair_is_lost_that_comparing_all_finds(seed):
    """Smooth and rough fingerprints, some with views of others at distances around the limit."""
    draw = np.random.default_rng(seed)
    side = fingerprints.SIDE - 2 * fingerprints.EDGE
    rough = draw.normal(size=(60, side, side))
    smooth = [cv2.GaussianBlur(one, (0, 0), draw.uniform(0.5, 4)) for one in rough]
    near = []
    for one, other in zip(smooth, draw.permuted(rough), strict=True):
        share = draw.uniform(0, 2 * fingerprints.LIMIT)
        mixed = (1 - share) * one / np.linalg.norm(one)
        mixed += np.sqrt(1 - (1 - share) ** 2) * other / np.linalg.norm(other)
        near.append(np.rot90(mixed[:, :: draw.choice([-1, 1])], draw.integers(4)))
    first, second = (
        np.array([(one - one.mean()) / np.linalg.norm(one - one.mean()) for one in prints])
        for prints in ([*smooth, *np.zeros((3, side, side)) + 1e-9 * rough[:3]], near)
    )
    nearness = np.max(
        [v.reshape(len(v), -1) @ second.reshape(len(second), -1).T
         for v in fingerprints.views(first)], axis=0,
    )  # fmt: skip
    surely = set(map(tuple, np.argwhere(nearness > 1 - fingerprints.LIMIT + 1e-5).tolist()))
    perhaps = set(map(tuple, np.argwhere(nearness > 1 - fingerprints.LIMIT - 1e-5).tolist()))
    found = list(fingerprints.alike(list(first), second))
    assert surely <= {one[:2] for one in found} <= perhaps
    assert 10 < len(found) < 60
    for one in found:
        assert one.distance == pytest.approx(1 - nearness[one.first, one.second], abs=1e-5)


def test_half_precision_changes_no_pair(pictures):
    own = prints([one for name in NAMES for one in pictures[name]])
    half = [one.astype(np.float16) for one in own]
    whole, halves = (list(fingerprints.alike(one, one[::-1])) for one in (own, half))
    assert [one[:3] for one in halves] == [one[:3] for one in whole]
    assert max(abs(a.distance - b.distance) for a, b in zip(whole, halves, strict=True)) < 1e-4


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_pictures_without_structure_are_alike_nothing(grey):
    flat = prints([np.full((40, 40, 3), grey, np.uint8), np.full((1, 1, 3), grey, np.uint8)])
    assert list(fingerprints.alike(flat, flat)) == []
    assert list(fingerprints.alike([], flat)) == []


def photographs(scene: np.ndarray, grain: float, number: int = 5) -> list[np.ndarray]:
    """Different pictures (1024, 1024, 3) of a scene (1024, 1024): each has a surface of its own."""
    random = np.random.default_rng(4)
    grains = [cv2.GaussianBlur(random.normal(size=scene.shape), (0, 0), 3) for _ in range(number)]
    grey = [np.clip(np.rint(scene + grain * one / one.std()), 0, 255) for one in grains]
    return [np.repeat(one[..., None], 3, axis=2).astype(np.uint8) for one in grey]


def scenes() -> dict[str, np.ndarray]:
    part = np.full((1024, 1024), 200, np.float32)
    cv2.circle(part, (512, 512), 350, 90, -1)
    cv2.circle(part, (512, 512), 200, 150, -1)
    down, right = np.mgrid[-1:1:1024j, -1:1:1024j]
    return {"a part at one place": part, "a lamp": 220 - 90 * (down**2 + right**2)}


@pytest.mark.parametrize("scene", scenes())
def test_pictures_that_share_all_but_the_surface_are_not_alike(scene):
    pictures = photographs(scenes()[scene], grain=3 if "part" in scene else 0.1)
    own = prints(pictures)
    numbers = {(number, number) for number in range(len(own))}
    assert {found[:2] for found in fingerprints.alike(own, own)} <= numbers
    if "part" in scene:
        copies = prints([brightened(jpeg(np.rot90(one))) for one in pictures])
        assert {found[:2] for found in fingerprints.alike(own, copies)} == numbers


def rows(images: list[np.ndarray], source, variant: str = "original") -> list[dict]:
    return [
        {"image": f"{variant}/{number}", "source": source(number), "sha256": f"{variant}{number}"}
        for number in range(len(images))
    ]


def test_copies_shuffled_into_splits_are_found_with_the_right_share(pictures):
    """As the original did: first copies, then a random split; here their names tell nothing."""
    originals = pictures["screw"]
    made, table = {}, []
    for variant in ("original", "mirrored", "turned by 90°", ""):
        copies = originals if variant == "original" else [COPIES[variant](p) for p in originals]
        for row, print_ in zip(rows(copies, str, variant or "jpeg"), prints(copies), strict=True):
            made[row["image"]] = print_
            table.append(row)
    order = np.random.default_rng(1).permutation(len(table))
    drawn = np.array(["train"] * 7 + ["valid"] * 2 + ["test"])[np.argsort(order) % 10]
    named = pd.DataFrame(table).assign(split=drawn)
    nameless = named.assign(source=named["image"])
    test = named[named["split"] == "test"]
    elsewhere = set(named.loc[named["split"] != "test", "source"])
    expected = set(test.loc[test["source"].isin(elsewhere), "image"])
    assert len(expected) / len(test) > 0.5
    pairs = {}
    for how, one in (("lineage", named), ("content", nameless)):
        pairs[how] = leakage.across_splits(one, made)
        assert leakage.concerned(pairs[how]) == expected
    assert {p[:4] for p in pairs["lineage"]} == {p[:4] for p in pairs["content"]}
    assert all(pair.why.startswith("both of") for pair in pairs["lineage"])
    assert all(pair.why.startswith("alike") for pair in pairs["content"])


def test_a_split_by_source_has_no_leak(pictures):
    originals = pictures["grid"]
    table = [*rows(originals, str), *rows(originals, str, "mirrored")]
    made = prints([*originals, *map(np.fliplr, originals)])
    frame = pd.DataFrame(table).assign(label="bent", split="", variant="original")
    divided = splits.ratios(frame)
    assert leakage.across_splits(divided, dict(zip(frame["image"], made, strict=True))) == []


@pytest.mark.parametrize("name", ["grid", "screw"])
def test_margin_on_real_pictures(shared_data, name):
    folder = shared_data / "mvtec_anomaly_detection" / name
    images = [masks.read_image(path) for path in sorted(folder.glob("test/*/*.png"))[::4]]
    own = np.stack(prints(images))
    nearness = np.max(
        [v.reshape(len(own), -1) @ own.reshape(len(own), -1).T for v in fingerprints.views(own)],
        axis=0,
    )
    others = nearness[~np.eye(len(own), dtype=bool)]
    assert 1 - others.max() > 2 * fingerprints.LIMIT
    copies = prints([brightened(jpeg(np.rot90(one))) for one in images])
    found = {(one.first, one.second): one.distance for one in fingerprints.alike(list(own), copies)}
    assert set(found) == {(n, n) for n in range(len(own))}
    assert max(found.values()) < fingerprints.LIMIT / 2
