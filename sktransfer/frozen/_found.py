"""Where values of rows are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ._digests import DIGEST_BYTES

# Shape and type of a row in each array, the type by its name.
Layout = tuple[tuple[tuple[int, ...], str], ...]


class Shard(NamedTuple):
    """Digests of rows, and the arrays of their values."""

    digests: np.ndarray
    arrays: list[np.ndarray]


class Found:
    """Where the values of rows are; those of missing rows are nowhere.

    Parameters
    ----------
    shards : list of list of ndarray
        Each with the arrays of its rows' values.
    shard_of, row_of : ndarray of shape (n_rows,)
        Shard and row in it; -1 where it is missing.
    kept_by : object
        What is to live as long as the arrays are in use.
    """

    def __init__(
        self,
        shards: list[list[np.ndarray]],
        shard_of: np.ndarray,
        row_of: np.ndarray,
        kept_by: Any = None,
    ):
        self.shards, self.shard_of, self.row_of = shards, shard_of, row_of
        self.kept_by = kept_by

    @classmethod
    def search(cls, shards: Sequence[Shard], digests: np.ndarray, kept_by: Any = None) -> Found:
        """Look for rows by their digests, shape (n_rows, 16), in the first shards first."""
        places: dict[bytes, tuple[int, int]] = {}
        for number, shard in enumerate(shards):
            for row, known in enumerate(as_bytes(shard.digests)):
                places.setdefault(known, (number, row))
        found = [places.get(wanted, (-1, -1)) for wanted in as_bytes(digests)]
        shard_of, row_of = np.array(found, dtype=np.int64).reshape(-1, 2).T
        return cls([shard.arrays for shard in shards], shard_of, row_of, kept_by)

    def of(self, rows: np.ndarray) -> Found:
        """Return the places of these rows alone."""
        return Found(self.shards, self.shard_of[rows], self.row_of[rows], self.kept_by)

    @property
    def missing(self) -> np.ndarray:
        """Which rows were not found, shape (n_rows,)."""
        return self.shard_of < 0

    @property
    def n_arrays(self) -> int:
        """Number of arrays that make a value."""
        return len(self.shards[0])

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


def as_bytes(digests: np.ndarray) -> list[bytes]:
    """Return digests of rows, shape (n_rows, 16), as what can be looked up."""
    return np.ascontiguousarray(digests).view(f"V{DIGEST_BYTES}").ravel().tolist()
