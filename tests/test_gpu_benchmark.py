"""The program that measures on a GPU works; here with small networks on the CPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[1] / "benchmarks" / "gpu.py"


@pytest.mark.heavy
def test_its_page_has_steps_trainings_and_equal_results(tmp_path):
    page = tmp_path / "gpu.md"
    words = ("--tiny", "--minutes", "6", "--page", str(page))
    done = subprocess.run([sys.executable, str(PROGRAM), *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = page.read_text().splitlines()
    assert sum("| mixed_" in line or "| float32" in line for line in lines) >= 9
    (continued,) = [line for line in lines if "killed and continued" in line]
    assert "weights equal bit for bit" in continued
    assert not [line for line in lines if "failed" in line or "not run" in line]
    assert any("of an epoch" in line for line in lines)
