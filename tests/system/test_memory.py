"""The memory of this process, and the limits around it."""

from __future__ import annotations

import sys

import pytest

from flexunet_exp.system import memory
from tests.support import running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems count otherwise")


# In a process of its own, and with memory that goes back at once: the C library may keep what was
# freed, and give it out again.
FORGETS = """
import mmap
from flexunet_exp.system import memory

SOME = 200_000_000
with mmap.mmap(-1, SOME) as taken:
    for page in range(0, SOME, mmap.PAGESIZE):
        taken[page] = 1
    high = memory.peak()
    print(memory.resident() > SOME)
memory.forget_peak()
print(memory.peak() < high - SOME / 2)
"""


def test_the_peak_is_that_since_it_was_forgotten(tmp_path):
    assert running.python(tmp_path, FORGETS).stdout.split() == ["True", "True"]


def test_there_is_less_free_than_there_is():
    assert 0 < memory.free() < memory.total()


def test_a_group_of_processes_has_a_limit_and_uses_a_part(tmp_path):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    (tmp_path / "memory.stat").write_text("anon 250\ninactive_file 100\n")
    assert (1000, 300) in list(memory.limits(tmp_path))


@pytest.mark.parametrize("limit", ["max\n", ""])
def test_a_group_without_a_limit_has_none(tmp_path, limit):
    (tmp_path / "memory.max").write_text(limit)
    assert list(memory.limits(tmp_path)) == []
