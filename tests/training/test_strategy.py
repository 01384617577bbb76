"""A batch divided among two devices trains what one device would: on two logical CPU devices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.support.running import python, train

# Eleven training pictures, ten a batch: the last one leaves the second device without a picture.
SETTINGS = ("tracking=none", "augmentation=none", "loss=cross_entropy", "trainer.batch_size=10")
ON_TWO_DEVICES = """
import sys
import tensorflow as tf
from flexunet_exp import cli
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.exit(cli.main(sys.argv[1:]))
"""


def epochs(folder) -> pd.DataFrame:
    names = ("losses", "metrics")
    tables = [pd.read_csv(next(folder.glob(f"outputs/*/*/train_{name}.csv"))) for name in names]
    return tables[0].merge(tables[1], on="epoch")


@pytest.mark.heavy
def test_two_devices_train_as_one_does(tmp_path, tiny):
    one = train(tmp_path / "one", *tiny, *SETTINGS)
    mirrored = ("train", *tiny, *SETTINGS, "trainer.strategy=mirrored")
    two = python(tmp_path / "two", ON_TWO_DEVICES, *mirrored)
    assert one.returncode == two.returncode == 0, one.stdout + two.stdout
    first, second = epochs(tmp_path / "one"), epochs(tmp_path / "two")
    # A device's loss is the mean over its own pictures, of which the last batch has one and none.
    np.testing.assert_allclose(second["val_loss"], first["val_loss"], rtol=0.05)
    np.testing.assert_allclose(second["val_dice"], first["val_dice"], atol=0.02)
    assert (second["val_loss"].diff().dropna() < 0).all()


@pytest.mark.heavy
def test_a_loss_over_several_batches_is_refused_on_two_devices(tmp_path, tiny):
    words = ("tracking=none", "loss.pool_batches=4", "trainer.strategy=mirrored")
    done = python(tmp_path, ON_TWO_DEVICES, "train", *tiny, *words)
    assert done.returncode == 1 and "2 devices share a batch here" in done.stdout
    assert "Type loss.pool_batches=1" in done.stdout and "Traceback" not in done.stdout
