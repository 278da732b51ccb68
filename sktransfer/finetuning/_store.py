"""Arrays of rows on disk, shared by processes and found by the content of the row."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from ._fingerprint import DIGEST_BYTES

UNFINISHED = "unfinished-"

# So many shards of so few bytes become one.
MOST_SMALL_SHARDS = 32
SMALL_BYTES = 2**20


def memory_folder(memory: Any) -> Path | None:
    """Return where `memory` keeps things: a path, or something like a joblib.Memory.

    Raises
    ------
    TypeError
        For anything else.
    """
    location = memory if isinstance(memory, str | os.PathLike) else None
    if location is None:
        if not hasattr(memory, "location"):
            raise TypeError(
                f"memory={memory!r} is neither a path nor a joblib.Memory; give the folder in "
                "which to keep the activations, or None to keep them for one fit alone."
            )
        location = memory.location
    return None if location is None else Path(location) / "sktransfer"


class RowStore:
    """Values of rows, in folders: one for each kind of value, in it one for each shard.

    A shard holds the values of some rows and the digests of these rows. It is
    written under another name and renamed when complete, so a reader sees all of
    it or nothing. Writers take turns, which also keeps two of them from computing
    the same; the lock of a killed one is freed by the system.

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

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):
            for left in self.folder.glob(f"*/{UNFINISHED}*"):  # by a writer that was killed
                shutil.rmtree(left, ignore_errors=True)
            yield

    def find(self, key: str, digests: np.ndarray) -> Found:
        """Look for values of rows.

        Parameters
        ----------
        key : str
            Of the kind of value.
        digests : ndarray of shape (n_rows, 16)
            Of the rows.
        """
        shards: list[list[np.ndarray]] = []
        shard_of: dict[bytes, int] = {}
        row_of: dict[bytes, int] = {}
        for folder in sorted((self.folder / key).glob("shard-*")):
            try:
                known, values = _load(folder)
                os.utime(folder)
            except (OSError, ValueError):
                continue  # removed in this moment, or no shard
            for row, digest in enumerate(_as_bytes(known)):
                shard_of[digest], row_of[digest] = len(shards), row
            shards.append(values)
        wanted = _as_bytes(digests)
        return Found(
            shards,
            np.array([shard_of.get(digest, -1) for digest in wanted], dtype=np.int64),
            np.array([row_of.get(digest, -1) for digest in wanted], dtype=np.int64),
        )

    def add(self, key: str, digests: np.ndarray, values: list[np.ndarray]) -> None:
        """Keep values of rows; to be called while writing."""
        small = [s for s in (self.folder / key).glob("shard-*") if _size(s) < SMALL_BYTES]
        if len(small) >= MOST_SMALL_SHARDS:  # as predictions of single rows leave them
            loaded = [_load(shard) for shard in small]
            digests = np.concatenate([digests, *(known for known, _ in loaded)])
            parts = zip(values, *(arrays for _, arrays in loaded), strict=True)
            values = [np.concatenate(part) for part in parts]
        else:
            small = []
        name = uuid.uuid4().hex
        unfinished = self.folder / key / f"{UNFINISHED}{name}"
        unfinished.mkdir(parents=True)
        for number, value in enumerate(values):
            np.save(unfinished / f"value{number}.npy", value)
        np.save(unfinished / "digests.npy", digests)
        unfinished.rename(self.folder / key / f"shard-{name}")
        for shard in small:
            shutil.rmtree(shard, ignore_errors=True)

    def shrink(self) -> None:
        """Remove the shards longest unused, as far as the store is too large."""
        if self.max_bytes is None:
            return
        shards = []
        for folder in self.folder.glob("*/shard-*"):
            shards.append((folder.stat().st_mtime_ns, _size(folder), folder))
        excess = sum(size for _, size, _ in shards) - self.max_bytes
        for _, size, folder in sorted(shards):
            if excess <= 0:
                break
            shutil.rmtree(folder, ignore_errors=True)
            excess -= size


class Found:
    """Where the values of rows are; those of missing rows are nowhere.

    Parameters
    ----------
    shards : list of list of ndarray
        Each with the arrays of its rows' values.
    shard_of, row_of : ndarray of shape (n_rows,)
        Shard and row in it; -1 where it is missing.
    """

    def __init__(self, shards: list[list[np.ndarray]], shard_of: np.ndarray, row_of: np.ndarray):
        self.shards, self.shard_of, self.row_of = shards, shard_of, row_of

    def of(self, rows: np.ndarray) -> Found:
        """Return the places of these rows alone."""
        return Found(self.shards, self.shard_of[rows], self.row_of[rows])

    @property
    def missing(self) -> np.ndarray:
        """Which rows were not found, shape (n_rows,)."""
        return self.shard_of < 0

    @property
    def n_bytes(self) -> int:
        """Size of the values of all rows."""
        sizes = [sum(value[:1].nbytes for value in shard) for shard in self.shards[:1]]
        return sum(sizes) * len(self.row_of)

    def take(self, number: int, rows: np.ndarray) -> np.ndarray:
        """Return array `number` of these rows, in memory."""
        shard_of, row_of = self.shard_of[rows], self.row_of[rows]
        sample = self.shards[0][number]
        values = np.empty((len(rows), *sample.shape[1:]), dtype=sample.dtype)
        for shard in np.unique(shard_of):
            here = shard_of == shard
            values[here] = self.shards[shard][number][row_of[here]]
        return values


def _load(shard: Path) -> tuple[np.ndarray, list[np.ndarray]]:
    names = sorted(shard.glob("value*.npy"), key=lambda path: int(path.stem[len("value") :]))
    return np.load(shard / "digests.npy"), [np.load(name, mmap_mode="r") for name in names]


def _size(shard: Path) -> int:
    return sum(file.stat().st_size for file in shard.iterdir())


def _as_bytes(digests: np.ndarray) -> list[bytes]:
    return np.ascontiguousarray(digests).view(f"V{DIGEST_BYTES}").ravel().tolist()
