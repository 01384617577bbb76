"""Garbage collection is off meanwhile, and afterwards as it was."""

from __future__ import annotations

import gc

import pytest

from flexunet_exp.system import collection


@pytest.fixture(autouse=True)
def on_again():
    yield
    gc.enable()


@pytest.mark.parametrize("change", [gc.enable, gc.disable])
def test_a_pause_leaves_collection_as_it_found_it(change):
    change()
    was_on = gc.isenabled()
    with pytest.raises(OSError), collection.paused():
        assert not gc.isenabled()
        raise OSError
    assert gc.isenabled() == was_on
