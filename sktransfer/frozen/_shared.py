"""The frozen part's values of rows, in a store for all who fit and predict with it."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from ._digests import digest_rows
from ._found import Found, Shard
from ._graph import BodyGraph
from ._rows import ActivationRows, Batcher, fits_memory, found_rows, passes, to_keep
from ._shards import read_shard, write_shard
from ._store import RowStore, Writer
from ._temporary import TemporaryFolder
from ._trace import INPUT

# Values of so many bytes are written to a store at once.
SHARD_BYTES = 2**27

# A store keeps what unfreezing up to so many layers needs, and more layers as long as the
# values take no more bytes than the row itself.
KEPT_DEPTH = 3


class _Made:
    """Values made in one call: in the store or, where that takes no more, beside it."""

    def __init__(self, writer: Writer):
        self.writer = writer
        self.shards: defaultdict[str, list[Shard]] = defaultdict(list)
        self.folder: TemporaryFolder | None = None
        self._n_bytes = 0

    def add(self, key: str, digests: np.ndarray, arrays: list[np.ndarray]) -> None:
        """Keep values of rows."""
        shard = self.writer.add(key, digests, arrays)
        self.shards[key].append(shard or self._aside(Shard(digests, arrays)))

    def _aside(self, shard: Shard) -> Shard:
        self._n_bytes += sum(array.nbytes for array in shard.arrays)
        if fits_memory(self._n_bytes):
            return shard
        self.folder = self.folder or TemporaryFolder()
        path = self.folder.path / uuid.uuid4().hex
        try:
            write_shard(path.with_suffix(".part"), path.name, shard)
        except OSError as error:
            raise self.folder.full(error) from error
        return read_shard(path, None, None) or shard


class SharedActivations:
    """The frozen part's values of rows in a store, for all who fit and predict with it.

    Parameters
    ----------
    graph : BodyGraph
        Of the body.
    batcher : Batcher
        Knows the device, the type and the number of threads.
    store : RowStore
        Where they are kept.
    keys : dict of str
        What `value_keys` calls the values.
    wanted : sequence of list of str
        Names of the values that will be asked for, together.
    others : iterable of list of str
        Those wanted at depths 0, 1, 2 and so on, kept as well as long as they are
        not too large.
    """

    def __init__(
        self,
        graph: BodyGraph,
        batcher: Batcher,
        store: RowStore,
        keys: dict[str, str],
        wanted: Sequence[list[str]],
        others: Iterable[list[str]],
    ):
        self.graph, self.batcher, self.store, self.keys = graph, batcher, store, keys
        self.crossings = [*self._affordable(others), *wanted]
        self.kept = sorted({name for names in self.crossings for name in names} - {INPUT})

    def keep_only_frozen(self, live: Iterable[str]) -> None:
        """Compute no more what these modules, which have learned since, would now make other."""
        changing = self.graph.changing(live)
        self.kept = [name for name in self.kept if name not in changing]

    def values(self, X: Any, wanted: Sequence[str]) -> dict[str, Any]:
        """Return the values of checked rows; what the store has not is computed and put there."""
        digests = digest_rows(X)
        found = self._find(wanted, digests)
        if any(place.missing.any() for place in found.values()):
            with self.store.writing() as writer:
                made = self._make_missing(X, digests, wanted, writer)
                found = self._find(wanted, digests, made)
                self.store.shrink()
        in_memory = fits_memory(sum(place.n_bytes for place in found.values()))
        return {name: self._as_rows(name, place, in_memory) for name, place in found.items()}

    def _affordable(self, crossings: Iterable[list[str]]) -> Iterator[list[str]]:
        row_bytes = self.batcher.dtype.itemsize * int(np.prod(self.batcher.input_shape))
        kept: set[str] = set()
        for depth, crossing in enumerate(crossings):
            kept = kept.union(crossing)
            size = sum(self.graph.values[name].row_bytes for name in kept)
            if depth > KEPT_DEPTH and size > row_bytes:
                break
            yield crossing

    def _find(
        self, names: Sequence[str], digests: np.ndarray, made: _Made | None = None
    ) -> dict[str, Found]:
        found = {}
        for name in names:
            key, layout = self.keys[name], self.graph.values[name].layout
            fresh = made.shards[key] if made else ()
            found[name] = self.store.find(key, digests, layout, fresh)
            found[name].kept_by = made
        return found

    def _make_missing(
        self, X: Any, digests: np.ndarray, wanted: Sequence[str], writer: Writer
    ) -> _Made:
        """Compute values of rows, from what is there of them already, latest step first."""
        made, found = _Made(writer), self._find(self.kept, digests)
        _, first = np.unique(digests, axis=0, return_index=True)
        missing = np.logical_or.reduce([found[name].missing for name in wanted])
        left = np.sort(first[missing[first]])
        for given in self.crossings:
            if set(given) <= set(self.kept):
                ready = ~np.logical_or.reduce([found[name].missing[left] for name in given])
                names, rows = _missing_names(found, left[ready]), left[ready]
                if self.graph.leads(given, names):
                    parts = (self._as_rows(name, found[name].of(rows), False) for name in given)
                    if names:
                        self._make(made, given, names, ActivationRows(tuple(parts)), digests[rows])
                    left = left[~ready]
        names = _missing_names(found, left)
        if names:
            source = self.batcher.rows(X if len(left) == X.shape[0] else X[left])
            self._make(made, [INPUT], names, source, digests[left])
        return made

    def _make(
        self, made: _Made, given: list[str], names: list[str], source: Any, digests: np.ndarray
    ) -> None:
        """Pass rows of the given values through the steps that lead to others."""
        parts: list[list[list[np.ndarray]]] = []
        start = done = size = 0
        for values in passes(self.graph.frozen_part(given, names), source, self.batcher):
            parts.append([[to_keep(t) for t in pytree.tree_leaves(v)] for v in values])
            done += len(parts[-1][0][0])
            size += sum(array.nbytes for value in parts[-1] for array in value)
            if size >= SHARD_BYTES or done == len(digests):
                for number, name in enumerate(names):
                    pieces = zip(*(part[number] for part in parts), strict=True)
                    arrays = [np.concatenate(piece) for piece in pieces]
                    made.add(self.keys[name], digests[start:done], arrays)
                parts, start, size = [], done, 0

    def _as_rows(self, name: str, found: Found, in_memory: bool) -> Any:
        rows = found_rows(found, torch.device(self.batcher.device), in_memory)
        return pytree.tree_unflatten(rows, self.graph.values[name].structure)


def _missing_names(found: dict[str, Found], rows: np.ndarray) -> list[str]:
    return [name for name, place in found.items() if place.missing[rows].any()]
