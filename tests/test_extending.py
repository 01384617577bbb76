"""README's extension table, taken at its word: these files, and no others, add a thing."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
TEXTS = {
    "conf/dataset/bolt.yaml": """
# Bolts, seen from above.
defaults:
  - layout: mvtec
  - _self_

name: bolt
classes:
  - {name: background, color: [0, 0, 0]}
  - {name: scratch, color: [255, 0, 0]}
  - {name: dent, color: [0, 255, 0]}
""",
    "conf/model/net.yaml": """
# One convolution.
_target_: flexunet_exp.models.net.net
filters: 4
""",
    "flexunet_exp/models/net.py": '''
"""One convolution of every pixel's neighbourhood."""

import keras


def net(input_shape, num_classes, filters):
    """Logits (B, H, W, num_classes) float32 of pictures (B, H, W, 3) uint8."""
    pictures = keras.Input(input_shape, dtype="uint8")
    values = keras.layers.Rescaling(1 / 255)(pictures)
    features = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(values)
    logits = keras.layers.Conv2D(num_classes, 1, dtype="float32")(features)
    return keras.Model(pictures, logits)
''',
    "conf/loss/hinge.yaml": """
# The hinge of every class against the others.
_target_: flexunet_exp.losses.hinge.Hinge
""",
    "flexunet_exp/losses/hinge.py": '''
"""The hinge loss, one class against the others."""

import keras
from keras import ops


class Hinge(keras.losses.Loss):
    def call(self, y_true, y_pred):
        classes = ops.cast(y_true, "int32")
        counted = ops.cast(classes != 255, "float32")
        wanted = 2 * ops.one_hot(ops.where(classes == 255, 0, classes), y_pred.shape[-1]) - 1
        hinge = ops.mean(ops.maximum(0.0, 1 - wanted * ops.cast(y_pred, "float32")), axis=-1)
        return ops.sum(hinge * counted) / ops.maximum(ops.sum(counted), 1.0)
''',
}


def named_files(thing: str) -> set[str]:
    """The new files that README's row of a thing names; what follows `like` is there already."""
    (row,) = re.findall(rf"^\| {thing} \| (.+?) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    return set(re.findall(r"(?<!like )`((?:conf|flexunet_exp)/[\w/]+\.\w+)`", row))


def files_in(folder: Path) -> set[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if "__pycache__" not in path.parts}


def draw_bolts(root: Path) -> None:
    """A category of MVTec AD: grey pictures, a bright square for a defect."""
    for label in ("good", "scratch", "dent"):
        for number in range(6):
            mask = np.zeros((64, 64), np.uint8)
            if label != "good":
                mask[8 * number : 8 * number + 8, 20:40] = 255
            image = np.random.default_rng(number).integers(90, 120, (64, 64), np.uint8) + mask // 3
            save(image, root / "test" / label / f"{number:03}.png")
            if label != "good":
                save(mask, root / "ground_truth" / label / f"{number:03}_mask.png")


def save(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of what a clone runs."""
    copy = tmp_path_factory.mktemp("clone")
    for name in ("flexunet_exp", "conf", "hydra_plugins"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.mark.heavy
@pytest.mark.slow
def test_a_category_a_model_and_a_loss_need_exactly_the_files_that_readme_names(
    checkout, tmp_path, monkeypatch
):
    before = files_in(checkout)
    draw_bolts(tmp_path / "data" / "mvtec_anomaly_detection" / "bolt")
    wanted = set().union(*map(named_files, ("category", "model", "loss")))
    assert wanted == set(TEXTS)
    for name, text in TEXTS.items():
        (checkout / name).write_text(text.lstrip())
    monkeypatch.setenv("PYTHONPATH", str(checkout))
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    words = [
        *("dataset=bolt", "model=net", "loss=hinge", "tracking=none", "dataset.image_size=64"),
        "trainer.epochs=1",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "flexunet_exp", "train", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (scores,) = tmp_path.glob("outputs/*/*/evaluation/test/scores.csv")
    assert {"background", "scratch", "dent"} <= set(re.findall(r"^\w+", scores.read_text(), re.M))
    assert files_in(checkout) - before == wanted
