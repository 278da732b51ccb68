"""Rows of a domain where a device can take batches of them: dense, sparse, read when needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from ._lazy import LazyArray, LazyRows, check_whole


class DenseRows:
    """Rows of an array, moved to the device once and cast batch by batch.

    Parameters
    ----------
    X : ndarray or Tensor of shape (n_rows, ...)
        Floats become `dtype` at once; small integers (images) keep their type
        in memory.
    device : torch.device
        Where the rows live.
    dtype : torch.dtype
        What `take` returns.
    """

    def __init__(self, X: np.ndarray | Tensor, device: torch.device, dtype: torch.dtype):
        rows = X if isinstance(X, Tensor) else torch.as_tensor(_writable(X))
        wide = rows.is_floating_point() or rows.element_size() >= dtype.itemsize
        self.rows = rows.to(device, dtype) if wide else rows.to(device)
        self.dtype = dtype

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, order: Tensor) -> Tensor:
        """Return the rows of these numbers, in `dtype`."""
        return self.rows.index_select(0, order.to(self.rows.device)).to(self.dtype)

    def slice(self, start: int, stop: int) -> Tensor:
        """Return a copy of the rows from `start` to `stop`, in `dtype`."""
        return self.rows[start:stop].to(self.dtype, copy=True)

    def array(self) -> np.ndarray:
        """Return all rows as `predict` takes them."""
        return self.rows.cpu().numpy()


class SparseRows:
    """Rows of a CSR matrix, made dense batch by batch and never whole.

    Parameters
    ----------
    X : CSR matrix or array of shape (n_rows, n_features)
        Kept as it is.
    device : torch.device
        Where the dense batches go.
    dtype : torch.dtype
        What `take` returns.
    """

    def __init__(self, X: Any, device: torch.device, dtype: torch.dtype):
        self.rows = X
        self.device = device
        self.dtype = dtype

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    def take(self, order: Tensor) -> Tensor:
        """Return the rows of these numbers, dense, in `dtype`."""
        return self._dense(self.rows[order.cpu().numpy()])

    def slice(self, start: int, stop: int) -> Tensor:
        """Return the rows from `start` to `stop`, dense, in `dtype`."""
        return self._dense(self.rows[start:stop])

    def array(self) -> Any:
        """Return all rows as `predict` takes them."""
        return self.rows

    def _dense(self, rows: Any) -> Tensor:
        return torch.from_numpy(rows.toarray()).to(self.device, self.dtype)


def _writable(X: np.ndarray) -> np.ndarray:
    """Return a view that says it is writable, without which torch warns; nothing writes to it."""
    return X if X.flags.writeable else np.asarray(_Interface(X))


class _Interface:
    def __init__(self, X: np.ndarray):
        self.kept = X  # as long as the view lives
        self.__array_interface__ = {
            **X.__array_interface__,
            "data": (X.__array_interface__["data"][0], False),
        }


class Rows(Protocol):
    """What batches are taken from: tensors, or tuples of them."""

    def __len__(self) -> int: ...

    def take(self, order: Tensor) -> Any:
        """Return the rows of these numbers."""

    def slice(self, start: int, stop: int) -> Any:
        """Return the rows from `start` to `stop`."""


def make_rows(X: Any, device: torch.device, dtype: torch.dtype, num_workers: int = 0) -> Rows:
    """Put checked `X` where batches can be taken from it.

    Raises
    ------
    ValueError
        For numbers with a fraction, where `dtype` is an integer.
    """
    if isinstance(X, LazyArray):
        return LazyRows(X, device, dtype, num_workers)
    if not dtype.is_floating_point:
        check_whole(X.data if scipy.sparse.issparse(X) else X)
    rows = SparseRows if scipy.sparse.issparse(X) else DenseRows
    return rows(X, device, dtype)


def take_each(rows: Rows, steps: Iterable[Tensor]) -> Iterator[Any]:
    """Yield the rows of each step, read ahead where they are read at all."""
    return rows.take_each(steps) if isinstance(rows, LazyRows) else map(rows.take, steps)


def few_rows(X: Any) -> Tensor:
    """Return a row or two on the CPU, in their own type."""
    if isinstance(X, LazyArray):
        return X.read(np.arange(min(2, len(X))))
    few = X[:2].toarray() if scipy.sparse.issparse(X) else np.array(X[:2])
    return torch.as_tensor(few)
