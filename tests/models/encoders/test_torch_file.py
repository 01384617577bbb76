"""Weights files of torch are read without torch, and nothing in them is run."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest

from flexunet_exp.errors import InputError
from flexunet_exp.models.encoders import torch_file
from tests.support import torch_files


@pytest.fixture
def weights() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    return {
        "stem.weight": draw.normal(size=(8, 3, 3, 3)).astype(np.float32),
        "norm.bias": draw.normal(size=8).astype(np.float32),
        "norm.num_batches_tracked": np.array(7, np.int64),
    }


def test_what_was_written_is_read(tmp_path, weights):
    read = torch_file.tensors(torch_files.write(tmp_path / "a.pth", weights))
    assert list(read) == list(weights)
    for name, values in weights.items():
        np.testing.assert_array_equal(read[name], values)


@pytest.mark.parametrize("order", [(3, 2, 1, 0), (0, 2, 3, 1), (1, 0, 3, 2)])
def test_a_tensor_of_another_order_in_memory_is_read(tmp_path, weights, order):
    values = weights["stem.weight"]
    path = torch_files.write(tmp_path / "a.pth", {"stem": torch_files.Tensor(values, order)})
    np.testing.assert_array_equal(torch_file.tensors(path)["stem"], values)


class Foreign:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_file_that_holds_anything_else_is_refused_and_not_run(tmp_path, weights):
    path = torch_files.write(tmp_path / "a.pth", weights, Foreign(tmp_path / "made"))
    with pytest.raises(InputError, match="which is no part of a tensor"):
        torch_file.tensors(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path, weights, share):
    path = torch_files.write(tmp_path / "a.pth", weights)
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(InputError, match="is damaged"):
        torch_file.tensors(path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(InputError, match="is damaged, or no weights file of torch"):
        torch_file.tensors(tmp_path / "a.pth")


def test_a_tensor_that_ends_behind_its_storage_is_refused(tmp_path, weights):
    tensor = torch_files.Tensor(weights["norm.bias"])
    tensor.shape = (9,)
    path = torch_files.write(tmp_path / "a.pth", {"bias": tensor})
    with pytest.raises(InputError, match="ends behind its storage"):
        torch_file.tensors(path)


@pytest.mark.parametrize(
    "held",
    [{"epoch": 3, "state_dict": OrderedDict()}, [1, 2], {1: 2}],
    ids=["a checkpoint of a training", "a list", "no names"],
)
def test_a_file_of_other_things_than_tensors_is_refused(tmp_path, held):
    path = tmp_path / "a.pth"
    header = (torch_file.MAGIC, torch_file.VERSION, {"little_endian": True})
    path.write_bytes(b"".join(pickle.dumps(part, 2) for part in (*header, held, [])))
    with pytest.raises(InputError, match="expected the tensors of a network by name") as caught:
        torch_file.tensors(path)
    assert str(path) in str(caught.value)
