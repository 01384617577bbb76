"""Opens a volume of any format, from a file that may have any content."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from flexunet_exp.data.volumes import meta_image, nifti, numpy_array
from flexunet_exp.data.volumes.volume import Volume, suffix_of
from flexunet_exp.errors import InputError


@contextmanager
def opened(path: Path, key: str, folder: Path) -> Iterator[Volume]:
    """A volume while it is open; `key` names the data set of an .h5 file.

    A compressed file is unpacked into `folder`, in a file that is gone at the end. Raises
    InputError for a file that is damaged, empty, too large or no volume, and OSError where nothing
    can be written.
    """
    check_file(path)
    with ExitStack() as stack:
        try:
            volume = stack.enter_context(of_format(path, key, folder))
        except InputError:
            raise
        except Exception as error:  # the formats' readers raise errors of many types
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise InputError(
                f"{path}: no readable {suffix_of(path)} file, or cut off: copy or export it again."
            ) from error
        yield volume


def of_format(path: Path, key: str, folder: Path) -> AbstractContextManager[Volume]:
    """The volume of a path, by what its name ends in."""
    match suffix_of(path):
        case ".h5":
            from flexunet_exp.data.volumes import hdf5

            return hdf5.opened(path, key)
        case ".npy":
            return numpy_array.opened(path)
        case ".mha":
            return meta_image.opened(path, folder)
        case _:
            return nifti.opened(path, folder)


def check_file(path: Path) -> None:
    """Raises InputError unless a path is a file with content that can be opened."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path}: not a file, expected a volume: rename or remove it.")
        with open(path, "rb"):
            pass
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    if not status.st_size:
        raise InputError(f"{path}: the file is empty, expected a volume: copy it again.")
