"""Files that appear under their name when they are complete."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from .validation._arguments import check_path


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Give a name to write to; what is written takes the place of `path` once complete.

    Raises
    ------
    FileNotFoundError
        Where there is no such folder.
    """
    target = Path(os.path.realpath(check_path(path)))  # a link stays one
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {target.parent}; make it first.")
    unfinished = target.with_name(f".{uuid.uuid4().hex}.unfinished")
    try:
        unfinished.touch()
        mode = unfinished.stat().st_mode
        yield unfinished
        unfinished.chmod(mode)  # safetensors lets nobody but the owner read
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
