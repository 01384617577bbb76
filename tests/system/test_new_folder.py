"""A folder that a command makes in one step replaces an empty one, or is refused beforehand."""

from __future__ import annotations

import pytest

from flexunet_exp.errors import InputError
from flexunet_exp.system import new_folder
from tests.support import disks


def make(output) -> None:
    new_folder.check_new(output)
    with new_folder.staged_for(output) as staged:
        staged.mkdir()
        (staged / "labels.json").write_text("[]")


def test_a_mount_point_is_refused_before_the_work(tmp_path):
    with disks.mounted(tmp_path / "out") as output:
        (tmp_path / "link").symlink_to(output)
        for given in (output, tmp_path / "link"):
            with pytest.raises(InputError, match=f"mount point.* output={given}/labels"):
                new_folder.check_new(given)
        make(output / "labels")
        assert (output / "labels/labels.json").is_file()


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_to_a_folder_stays_and_the_folder_is_made(tmp_path, is_there):
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    if is_there:
        (tmp_path / "folder").mkdir()
    make(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "folder/labels.json").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"link", "folder"}
