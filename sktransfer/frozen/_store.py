"""Arrays of rows on disk, shared by processes and found by the content of the row."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from .._warning import warn
from ._found import Found, Layout, Shard, as_bytes
from ._shards import BrokenShardError, read_shard, touch, write_shard

SHARD, UNFINISHED, REMOVED = "shard-", "unfinished-", "removed-"

# So many shards of so few bytes become one.
MOST_SMALL_SHARDS = 32
SMALL_BYTES = 2**20

# How long ago, in seconds, a use is noted once more, and what another machine was writing is
# taken for left behind: where a network's disk knows no locks, it may be writing still.
USE_SECONDS = 60
LEFT_SECONDS = 24 * 3600


def memory_folder(memory: Any) -> Path | None:
    """Return where `memory` keeps things: a path, or something like a joblib.Memory.

    Raises
    ------
    TypeError
        For anything else.
    NotADirectoryError
        For the path of a file.
    """
    location = memory if isinstance(memory, str | os.PathLike) else None
    if location is None:
        if not hasattr(memory, "location"):
            raise TypeError(
                f"memory={memory!r} is neither a path nor a joblib.Memory; give the folder in "
                "which to keep the activations, or None to keep them for one fit alone."
            )
        location = memory.location
    if location is None:
        return None
    if Path(location).exists() and not Path(location).is_dir():
        raise NotADirectoryError(
            f"memory={str(location)!r} is a file; give the folder in which to keep the "
            "activations, or None to keep them for one fit alone."
        )
    return Path(location) / "sktransfer"


class RowStore:
    """Values of rows, in folders: one for each kind of value, in it a file for each shard.

    A shard holds the values of some rows, the digests of these rows, and what tells
    whether all that is still what was written. It is written under another name and
    renamed when it is on the disk, so a reader sees all of it or nothing; one that is
    broken is removed and its rows are missing. Writers take turns, which also keeps
    two of them from computing the same; the lock of a killed one is freed by the system.

    Parameters
    ----------
    folder : path
        Made where it does not exist.
    max_bytes : int or None
        The shards longest unused are removed until the rest is not larger.
    """

    def __init__(self, folder: str | os.PathLike[str], max_bytes: int | None):
        self.folder = Path(folder)
        self.max_bytes = max_bytes
        self._has_warned = False

    @contextlib.contextmanager
    def writing(self) -> Iterator[Writer]:
        """Be the only writer meanwhile; where nothing can be written, warn and be none."""
        with contextlib.ExitStack() as stack:
            writer = Writer(self)
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(FileLock(self.folder / ".lock"))
            except (OSError, NotImplementedError) as error:  # one that knows no locks
                writer.stop(error)
            else:
                self._clear_away()
            yield writer

    def find(
        self,
        key: str,
        digests: np.ndarray,
        layout: Layout | None = None,
        fresh: Sequence[Shard] = (),
    ) -> Found:
        """Look for values of rows.

        Parameters
        ----------
        key : str
            Of the kind of value.
        digests : ndarray of shape (n_rows, 16)
            Of the rows.
        layout : Layout or None
            What the kind of value is made of; a shard that is other is a broken one.
        fresh : sequence of Shard
            Where to look before.
        """
        kept = self._shards(key, set(as_bytes(digests)), layout)
        return Found.search([*fresh, *kept], digests)

    def shrink(self) -> None:
        """Remove the shards longest unused, as far as the store is too large."""
        if self.max_bytes is None:
            return
        shards = []
        for path in self.folder.glob(f"*/{SHARD}*"):
            with contextlib.suppress(FileNotFoundError):  # a broken one that a reader removes
                status = path.lstat()
                shards.append((status.st_mtime_ns, status.st_size, path))
        excess = sum(size for _, size, _ in shards) - self.max_bytes
        for _, size, path in sorted(shards):
            if excess <= 0:
                break
            _remove(path)
            excess -= size

    def warn(self, error: BaseException) -> None:
        """Say once that the store takes no more, and what to do."""
        if not self._has_warned:
            self._has_warned = True
            warn(
                f"memory: nothing more can be kept in {str(self.folder)!r} "
                f"({getattr(error, 'strerror', None) or error}). What is kept there is used, the "
                "rest is computed and not kept. Free space on its disk or lower memory_limit, or "
                "have memory name a folder that can be written to."
            )

    def _shards(
        self, key: str, wanted: set[bytes] | None, layout: Layout | None
    ) -> Iterator[Shard]:
        for path in sorted((self.folder / key).glob(f"{SHARD}*")):
            shard = self._read(path, wanted, layout)
            if shard is not None:
                touch(path, USE_SECONDS)
                yield shard

    def _read(self, path: Path, wanted: set[bytes] | None, layout: Layout | None) -> Shard | None:
        try:
            if path.is_symlink() or path.is_dir():
                raise BrokenShardError(f"{path} is no file")
            return read_shard(path, wanted, layout)
        except BrokenShardError:
            _remove(path)
        except OSError:
            pass  # removed in this moment, or not to be read now
        return None

    def _clear_away(self) -> None:
        """Delete what writers that were killed have left; to be called while writing."""
        for path in [*self.folder.glob(f"*/{UNFINISHED}*"), *self.folder.glob(f"*/{REMOVED}*")]:
            with contextlib.suppress(OSError):
                own = f"{path.name.rpartition('-')[0]}-" in (_unfinished(""), REMOVED)
                if own or time.time() - path.lstat().st_mtime > LEFT_SECONDS:
                    _delete(path)


class Writer:
    """Adds shards to a store, as long as that takes them.

    Parameters
    ----------
    store : RowStore
        Whose only writer this is.
    """

    def __init__(self, store: RowStore):
        self.store, self.takes_more = store, True

    def stop(self, error: BaseException) -> None:
        """Write no more, and say why."""
        self.takes_more = False
        self.store.warn(error)

    def add(self, key: str, digests: np.ndarray, arrays: Sequence[np.ndarray]) -> Shard | None:
        """Keep values of rows; return them as they are kept, or None where they are not."""
        if not self.takes_more:
            return None
        folder = self.store.folder / key
        shard = Shard(digests, list(arrays))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            small = self._small_shards(folder)
            merged = self._merged(shard, small)
            name = uuid.uuid4().hex
            write_shard(folder / _unfinished(name), f"{SHARD}{name}", merged)
        except OSError as error:
            self.stop(error)
            return None
        for path in small:
            _remove(path)
        return self.store._read(folder / f"{SHARD}{name}", None, None)

    def _small_shards(self, folder: Path) -> list[Path]:
        """Return small shards, as predictions of single rows leave them, once they are many."""
        small = [path for path in folder.glob(f"{SHARD}*") if path.lstat().st_size < SMALL_BYTES]
        return small if len(small) >= MOST_SMALL_SHARDS else []

    def _merged(self, shard: Shard, paths: Sequence[Path]) -> Shard:
        layout = tuple((array.shape[1:], array.dtype.name) for array in shard.arrays)
        read = (self.store._read(path, None, layout) for path in paths)
        shards = [shard, *(other for other in read if other is not None)]
        arrays = zip(*(other.arrays for other in shards), strict=True)
        digests = np.concatenate([other.digests for other in shards])
        return Shard(digests, [np.concatenate(parts) for parts in arrays])


def _unfinished(name: str) -> str:
    """Name a file that this machine is writing."""
    return f"{UNFINISHED}{platform.node()}-{name}"


def _remove(path: Path) -> None:
    """Take a shard out of sight at once, then delete it."""
    gone = path.with_name(f"{REMOVED}{uuid.uuid4().hex}")
    with contextlib.suppress(OSError):  # another process was faster, or the folder is only read
        path.rename(gone)
        _delete(gone)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()
