"""A shard: a file with values of some rows, the digests of these rows, and proof of both."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ._digests import DIGEST_BYTES
from ._found import Layout, Shard, as_bytes

MAGIC = b"sktrows1"

# Arrays begin at multiples of so many bytes; hashes are taken of so many at once.
ALIGNMENT = 64
BLOCK_BYTES = 2**22
MOST_HEADER_BYTES = 2**20

# Files whose content this process has checked, by name, inode, size and time of change.
MOST_CHECKED = 4096
_checked: OrderedDict[tuple[str, int, int, int], None] = OrderedDict()
_checked_lock = threading.Lock()


class BrokenShardError(ValueError):
    """A file is not what was written."""


def write_shard(path: Path, name: str, shard: Shard) -> None:
    """Write a shard under a name, first as `path`; it is there whole or not at all.

    Raises
    ------
    OSError
        Where it cannot be written; nothing is left behind then.
    """
    arrays = [np.ascontiguousarray(array) for array in (shard.digests, *shard.arrays)]
    header = json.dumps([_described(array) for array in arrays]).encode()
    try:
        with open(path, "xb") as file:
            file.write(MAGIC + len(header).to_bytes(8, "little") + header)
            file.write(hashlib.sha256(header).digest())
            for array in arrays:
                file.write(b"\0" * (-file.tell() % ALIGNMENT))
                file.write(_raw(array))
            file.flush()
            os.fsync(file.fileno())  # or a crash may leave the name without the content
        target = path.with_name(name)
        path.rename(target)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    _sync_folder(path.parent)
    with contextlib.suppress(OSError):
        _note_checked(_identity(target, target.stat()))


def read_shard(path: Path, digests: set[bytes] | None, layout: Layout | None) -> Shard | None:
    """Map a shard's arrays, once its content was checked.

    Parameters
    ----------
    path : Path
        Of the file.
    digests : set of bytes or None
        Rows that are looked for; a shard without any of them is not read on.
    layout : Layout or None
        What the arrays have to be, if that is known.

    Returns
    -------
    Shard or None
        None where none of the rows is in it.

    Raises
    ------
    BrokenShardError
        Where the file does not hold what was written, or another kind of value.
    OSError
        Where it cannot be read.
    """
    with open(path, "rb") as file:
        described, start = _read_header(file)
        starts, stop = _places(described, start)
        status = os.fstat(file.fileno())
        if status.st_size != stop:
            raise BrokenShardError(f"{path} has {status.st_size} bytes, not {stop}")
        _check_layout(path, described, layout)
        key = _identity(path, status)
        known = _is_checked(key)
        if not known:
            _check_bytes(file, path, described[:1], starts[:1])
        rows = _mapped(path, described[0], starts[0])
        if digests is not None and digests.isdisjoint(as_bytes(rows)):
            return None
        if not known:
            _check_bytes(file, path, described[1:], starts[1:])
            _note_checked(key)
    places = zip(described[1:], starts[1:], strict=True)
    return Shard(np.array(rows), [_mapped(path, entry, place) for entry, place in places])


def touch(path: Path, older_than: float) -> None:
    """Note that a file was used, if its time is as old as so many seconds."""
    with contextlib.suppress(OSError):  # the folder may be one that is only read
        before = path.stat()
        if time.time() - before.st_mtime < older_than:
            return
        os.utime(path)
        after = path.stat()
        if after.st_ino == before.st_ino and _is_checked(_identity(path, before)):
            _note_checked(_identity(path, after))


def _identity(path: Path, status: os.stat_result) -> tuple[str, int, int, int]:
    return str(path), status.st_ino, status.st_size, status.st_mtime_ns


def _described(array: np.ndarray) -> dict[str, Any]:
    if array.dtype.hasobject:
        raise TypeError(f"An array of {array.dtype} cannot be kept; give one of numbers.")
    sha256 = hashlib.sha256(_raw(array)).hexdigest()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "sha256": sha256}


def _raw(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _read_header(file: Any) -> tuple[list[dict[str, Any]], int]:
    start = file.read(len(MAGIC) + 8)
    size = int.from_bytes(start[len(MAGIC) :], "little")
    if start[: len(MAGIC)] != MAGIC or size > MOST_HEADER_BYTES:
        raise BrokenShardError(f"{file.name} is no shard")
    header, proof = file.read(size), file.read(hashlib.sha256().digest_size)
    if hashlib.sha256(header).digest() != proof:
        raise BrokenShardError(f"the header of {file.name} has changed")
    described: list[dict[str, Any]] = json.loads(header)
    return described, file.tell()


def _places(described: Sequence[dict[str, Any]], start: int) -> tuple[list[int], int]:
    """Return where arrays begin, and where the last one ends."""
    starts = []
    for entry in described:
        starts.append(start + -start % ALIGNMENT)
        start = starts[-1] + _n_bytes(entry)
    return starts, start


def _n_bytes(entry: dict[str, Any]) -> int:
    n_bytes: int = math.prod(entry["shape"]) * np.dtype(entry["dtype"]).itemsize
    return n_bytes


def _check_layout(path: Path, described: list[dict[str, Any]], layout: Layout | None) -> None:
    rows, *values = ((tuple(entry["shape"]), np.dtype(entry["dtype"])) for entry in described)
    lengths = {shape[:1] for shape, _ in values}
    if rows[0][1:] != (DIGEST_BYTES,) or rows[1] != np.uint8 or lengths - {rows[0][:1]}:
        raise BrokenShardError(f"{path} has other numbers of digests and values")
    if any(dtype.hasobject for _, dtype in values):
        raise BrokenShardError(f"{path} holds no numbers")
    found = tuple((shape[1:], dtype.name) for shape, dtype in values)
    if layout is not None and found != layout:
        raise BrokenShardError(f"{path} holds {found}, not {layout}")


def _check_bytes(file: Any, path: Path, described: list[dict[str, Any]], starts: list[int]) -> None:
    block = memoryview(bytearray(BLOCK_BYTES))
    for entry, start in zip(described, starts, strict=True):
        left, hashed = _n_bytes(entry), hashlib.sha256()
        file.seek(start)
        while left > 0:  # read, not mapped: of a mapped file a bad disk ends the process
            n_read = file.readinto(block[: min(left, BLOCK_BYTES)])
            if n_read == 0:
                raise BrokenShardError(f"{path} has become shorter")
            hashed.update(block[:n_read])
            left -= n_read
        if hashed.hexdigest() != entry["sha256"]:
            raise BrokenShardError(f"the values in {path} have changed")


def _mapped(path: Path, entry: dict[str, Any], start: int) -> np.ndarray:
    shape, dtype = tuple(entry["shape"]), np.dtype(entry["dtype"])
    if _n_bytes(entry) == 0:  # nothing to map
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", start, shape)


def _is_checked(key: tuple[str, int, int, int]) -> bool:
    with _checked_lock:
        if key not in _checked:
            return False
        _checked.move_to_end(key)
        return True


def _note_checked(key: tuple[str, int, int, int]) -> None:
    with _checked_lock:
        _checked[key] = None
        while len(_checked) > MOST_CHECKED:
            _checked.popitem(last=False)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # Windows opens no folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
