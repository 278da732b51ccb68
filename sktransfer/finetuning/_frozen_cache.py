"""What the frozen part makes of rows, computed once and kept: in memory, mapped, or shared."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
import weakref
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import sklearn
import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from .._batches import DenseRows
from .._training import TransferNet
from ._fingerprint import digest_rows, fingerprint, value_keys
from ._graph import BodyGraph
from ._store import Found, RowStore
from ._trace import INPUT

# Values of so many bytes are written to a store at once.
SHARD_BYTES = 2**27

# A store keeps what unfreezing up to so many layers needs, and more layers as long as the
# values take no more bytes than the row itself.
KEPT_DEPTH = 3


class StoredRows:
    """Rows of one array that lie on disk, read when they are asked for.

    Parameters
    ----------
    found : Found
        Where each row is.
    number : int
        Which of the arrays.
    device : torch.device
        Where the rows go.
    """

    def __init__(self, found: Found, number: int, device: torch.device):
        self.found, self.number, self.device = found, number, device

    def __len__(self) -> int:
        return len(self.found.row_of)

    def take(self, order: Tensor) -> Tensor:
        """Return the rows of these numbers."""
        rows = self.found.take(self.number, order.cpu().numpy())
        return torch.from_numpy(rows).to(self.device)

    def slice(self, start: int, stop: int) -> Tensor:
        """Return the rows from `start` to `stop`."""
        return self.take(torch.arange(start, min(stop, len(self))))


class ActivationRows:
    """Rows of several values that belong together: a batch is a tuple with each of them.

    Parameters
    ----------
    values : tuple
        Nested as the values are, with `DenseRows` or `StoredRows` as leaves.
    """

    def __init__(self, values: tuple[Any, ...]):
        self.values = values

    def __len__(self) -> int:
        return len(pytree.tree_leaves(self.values)[0])

    def take(self, order: Tensor) -> tuple[Any, ...]:
        """Return the rows of these numbers."""
        taken: tuple[Any, ...] = pytree.tree_map(lambda rows: rows.take(order), self.values)
        return taken

    def slice(self, start: int, stop: int) -> tuple[Any, ...]:
        """Return the rows from `start` to `stop`."""
        part: tuple[Any, ...] = pytree.tree_map(lambda rows: rows.slice(start, stop), self.values)
        return part


class PrivateActivations:
    """The frozen part's values of rows, computed for one fit.

    What is larger than scikit-learn's ``working_memory`` lies in a temporary
    file, which goes when the rows are no longer used.

    Parameters
    ----------
    graph : BodyGraph
        Of the body.
    net : TransferNet
        Knows the device, the type and the number of threads.
    """

    def __init__(self, graph: BodyGraph, net: TransferNet):
        self.graph, self.net = graph, net

    def values(self, X: Any, wanted: Sequence[str]) -> dict[str, Any]:
        """Pass checked rows through the frozen part, once.

        Parameters
        ----------
        X : ndarray or CSR of shape (n_rows, ...)
            The rows.
        wanted : sequence of str
            Names of values.

        Returns
        -------
        dict
            For each name a value, nested as its structure says, of rows.
        """
        n_rows, size = X.shape[0], sum(self.graph.values[name].row_bytes for name in wanted)
        folder = None if _fits_memory(size * n_rows) else tempfile.mkdtemp(prefix="sktransfer-")
        arrays: list[Any] = []
        filled = 0
        part = self.graph.frozen_part([INPUT], wanted)
        for values in _passes(part, self.net.rows(X), self.net):
            leaves, structure = pytree.tree_flatten(values)
            arrays = arrays or [_new_array(leaf, n_rows, folder) for leaf in leaves]
            for array, leaf in zip(arrays, leaves, strict=True):
                array[filled : filled + len(leaf)] = leaf if folder is None else leaf.cpu().numpy()
            filled += len(leaves[0])
        device = torch.device(self.net.device)
        if folder is None:
            rows: list[Any] = [DenseRows(array, device, array.dtype) for array in arrays]
        else:
            found = Found([arrays], np.zeros(n_rows, dtype=np.int64), np.arange(n_rows))
            rows = [StoredRows(found, number, device) for number in range(len(arrays))]
            weakref.finalize(found, shutil.rmtree, folder, ignore_errors=True)
        return dict(zip(wanted, pytree.tree_unflatten(rows, structure), strict=True))


@lru_cache(maxsize=8)
def _known_bodies(fingerprint: str) -> dict[str, Any]:
    return {}


def examine(
    body: nn.Module, layers: Sequence[str], row: Tensor, context: str
) -> tuple[BodyGraph, dict[str, str]]:
    """Return a body's graph and the keys of its values; of a body seen before, without a pass.

    Parameters
    ----------
    body : Module
        In evaluation mode.
    layers : sequence of str
        Its layers with weights.
    row : Tensor of shape (1, ...)
        A row that it takes.
    context : str
        What else decides the values, such as the type of the rows.
    """
    if _hooks_matter(body, row):
        context += f" {uuid.uuid4()}"  # of functions there is no telling whether they are equal
    known = _known_bodies(f"{fingerprint(body)} {context}")
    graph = BodyGraph(body, layers, row, known.get("findings"))
    known.setdefault("findings", graph.findings)
    keys = known.get("keys") or known.setdefault("keys", value_keys(graph, context))
    return graph, keys


@torch.no_grad()
def _hooks_matter(body: nn.Module, row: Tensor) -> bool:
    """Whether the users' hooks change what the body makes of a row."""
    hooks = [h for m in body.modules() for h in (m._forward_hooks, m._forward_pre_hooks) if h]
    if not hooks:
        return False
    with_hooks, kept = body(row), [hook.copy() for hook in hooks]
    for hook in hooks:
        hook.clear()
    try:
        return not torch.equal(body(row), with_hooks)
    finally:
        for hook, before in zip(hooks, kept, strict=True):
            hook.update(before)


class SharedActivations:
    """The frozen part's values of rows in a store, for all who fit and predict with it.

    Parameters
    ----------
    graph : BodyGraph
        Of the body.
    net : TransferNet
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
        net: TransferNet,
        store: RowStore,
        keys: dict[str, str],
        wanted: Sequence[list[str]],
        others: Iterable[list[str]],
    ):
        self.graph, self.net, self.store, self.keys = graph, net, store, keys
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
            with self.store.writing():
                self._add_missing(X, digests, wanted)
                found = self._find(wanted, digests)
                self.store.shrink()
        in_memory = _fits_memory(sum(place.n_bytes for place in found.values()))
        return {name: self._as_rows(name, place, in_memory) for name, place in found.items()}

    def _affordable(self, crossings: Iterable[list[str]]) -> Iterator[list[str]]:
        row_bytes = self.net.dtype.itemsize * int(np.prod(self.net.input_shape))
        kept: set[str] = set()
        for depth, crossing in enumerate(crossings):
            kept = kept.union(crossing)
            size = sum(self.graph.values[name].row_bytes for name in kept)
            if depth > KEPT_DEPTH and size > row_bytes:
                break
            yield crossing

    def _find(self, names: Sequence[str], digests: np.ndarray) -> dict[str, Found]:
        return {name: self.store.find(self.keys[name], digests) for name in names}

    def _add_missing(self, X: Any, digests: np.ndarray, wanted: Sequence[str]) -> None:
        """Compute values of rows, from what is there of them already, latest step first."""
        found = self._find(self.kept, digests)
        _, first = np.unique(digests, axis=0, return_index=True)
        missing = np.logical_or.reduce([found[name].missing for name in wanted])
        left = np.sort(first[missing[first]])
        for given in self.crossings:
            if set(given) <= set(self.kept):
                ready = ~np.logical_or.reduce([found[name].missing[left] for name in given])
                names = self._missing_names(found, left[ready])
                if self.graph.leads(given, names):
                    self._add(given, names, left[ready], found, X, digests)
                    left = left[~ready]
        self._add([INPUT], self._missing_names(found, left), left, found, X, digests)

    def _missing_names(self, found: dict[str, Found], rows: np.ndarray) -> list[str]:
        return [name for name in self.kept if found[name].missing[rows].any()]

    def _add(
        self,
        given: list[str],
        names: list[str],
        rows: np.ndarray,
        found: dict[str, Found],
        X: Any,
        digests: np.ndarray,
    ) -> None:
        if not names:
            return
        if given == [INPUT]:
            source: Any = self.net.rows(X if len(rows) == X.shape[0] else X[rows])
        else:
            source = ActivationRows(
                tuple(self._as_rows(name, found[name].of(rows), False) for name in given)
            )
        parts: list[list[list[np.ndarray]]] = []
        start = done = size = 0
        for values in _passes(self.graph.frozen_part(given, names), source, self.net):
            parts.append([[t.cpu().numpy() for t in pytree.tree_leaves(v)] for v in values])
            done += len(parts[-1][0][0])
            size += sum(array.nbytes for value in parts[-1] for array in value)
            if size >= SHARD_BYTES or done == len(rows):
                for number, name in enumerate(names):
                    pieces = zip(*(part[number] for part in parts), strict=True)
                    arrays = [np.concatenate(piece) for piece in pieces]
                    self.store.add(self.keys[name], digests[rows[start:done]], arrays)
                parts, start, size = [], done, 0

    def _as_rows(self, name: str, found: Found, in_memory: bool) -> Any:
        device, everything = torch.device(self.net.device), np.arange(len(found.row_of))
        leaves: list[Any] = []
        for number in range(len(found.shards[0])):
            if in_memory:
                array = torch.from_numpy(found.take(number, everything))
                leaves.append(DenseRows(array, device, array.dtype))
            else:
                leaves.append(StoredRows(found, number, device))
        return pytree.tree_unflatten(leaves, self.graph.values[name].structure)


@torch.no_grad()
def _passes(part: fx.GraphModule, rows: Any, net: TransferNet) -> Iterator[tuple[Any, ...]]:
    part.eval()
    with net.pass_threads(rows):
        for batch in net.large_batches(rows):
            yield part(batch) if isinstance(batch, Tensor) else part(*batch)


def _fits_memory(n_bytes: int) -> bool:
    return bool(n_bytes <= sklearn.get_config()["working_memory"] * 2**20)


def _new_array(leaf: Tensor, n_rows: int, folder: str | None) -> Any:
    """Make room for a value of all rows: in memory where it was computed, or in a file."""
    shape = (n_rows, *leaf.shape[1:])
    if folder is None:
        return leaf.new_empty(shape)
    handle, path = tempfile.mkstemp(suffix=".npy", dir=folder)
    os.close(handle)
    dtype = leaf.new_empty(0).cpu().numpy().dtype
    return np.lib.format.open_memmap(path, "w+", dtype, shape)
