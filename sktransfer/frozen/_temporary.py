"""Temporary folders that outlive neither their use nor, for long, a process that is killed."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import tempfile
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from torch import Tensor

from ._rows import to_keep

LOCK = ".sktransfer-lock"

# A folder so young, in seconds, may not have been locked yet by who has made it.
YOUNG_SECONDS = 60


class TemporaryFolder:
    """A folder that goes when this object does, or by `remove`.

    It is locked as long as its process lives: what a killed one has left is deleted
    by the next on the same machine that makes such a folder.

    Attributes
    ----------
    path : Path
        Of the folder.
    """

    def __init__(self) -> None:
        _delete_left_behind()
        self.path = Path(tempfile.mkdtemp(prefix=_prefix()))
        lock = FileLock(self.path / LOCK, thread_local=False)
        self.remove = weakref.finalize(self, _remove, self.path, lock, os.getpid())
        with contextlib.suppress(OSError, NotImplementedError):  # then nobody deletes it
            lock.acquire()

    def full(self, error: OSError) -> OSError:
        """Return the error that says which folder could not be written, and the way out."""
        return OSError(
            error.errno,
            f"{error.strerror or error}: the frozen part's values of all rows do not fit the "
            f"temporary folder {str(self.path)!r}. Free space on its disk, have TMPDIR name a "
            "folder on another, or raise scikit-learn's working_memory so that they stay in "
            "memory",
        )


class ArrayFile:
    """An array that is written to a file, some rows after others, and then mapped.

    Parameters
    ----------
    path : Path
        Of the file.
    """

    def __init__(self, path: Path):
        self.path, self.n_rows = path, 0
        self._sample: np.ndarray = np.empty(0)

    def append(self, rows: Tensor) -> None:
        """Write further rows."""
        array = np.ascontiguousarray(to_keep(rows))
        with open(self.path, "ab") as file:  # not mapped: a full disk would end the process
            file.write(array.reshape(-1).view(np.uint8).data)
        self.n_rows += len(array)
        self._sample = array[:0]

    def mapped(self) -> np.ndarray:
        """Return all rows."""
        shape = (self.n_rows, *self._sample.shape[1:])
        if 0 in shape:
            return np.empty(shape, self._sample.dtype)
        return np.memmap(self.path, self._sample.dtype, "r", shape=shape)


def _prefix() -> str:
    return f"sktransfer-{platform.node()}-"


def _remove(path: Path, lock: Any, process: int) -> None:
    if os.getpid() != process:
        return  # a child that was forked: the folder is its parent's
    shutil.rmtree(path, ignore_errors=True)
    lock.release(force=True)


def _delete_left_behind() -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{_prefix()}*"):
        with contextlib.suppress(OSError, NotImplementedError, Timeout):  # or another's
            if time.time() - path.lstat().st_mtime < YOUNG_SECONDS or path.is_symlink():
                continue
            if not (path / LOCK).exists():
                path.rmdir()  # killed before it could lock it, or none of ours: only if empty
                continue
            with FileLock(path / LOCK, timeout=0):
                shutil.rmtree(path, ignore_errors=True)
