"""The built wheel carries the configuration and finds it from any folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

from flexunet_exp.config import compose


def test_the_wheel_is_complete_and_composes_from_elsewhere(tmp_path):
    root = compose.PACKAGE.parent
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=root, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
    shipped = {path.relative_to(site / "flexunet_exp" / "conf") for path in site.rglob("*.yaml")}
    assert shipped == {path.relative_to(root / "conf") for path in (root / "conf").rglob("*.yaml")}
    for file in ("flexunet_optuna_sweeper/sweeper.py", "flexunet_own_conf/search_path.py"):
        assert (site / "hydra_plugins" / file).is_file()
    assert (site / "flexunet_exp" / "py.typed").is_file()
    done = subprocess.run(
        [sys.executable, "-m", "flexunet_exp", "train", "experiment=quickstart", "--cfg", "job"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "images_per_class: 20" in done.stdout
    where = subprocess.run(
        [
            sys.executable,
            "-c",
            "from flexunet_exp.config import compose; print(compose.conf_dir())",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.strip() == str(site / "flexunet_exp" / "conf")
