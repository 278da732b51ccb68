"""Rows of values, in memory or on disk, and how rows pass through a part of a body."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
import sklearn
import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from ._found import Found


class Batcher(Protocol):
    """Who knows how rows become batches on the device."""

    @property
    def device(self) -> Any:
        """Where batches are computed on."""

    @property
    def dtype(self) -> torch.dtype:
        """What rows are cast to."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of a row as it is given."""

    def rows(self, X: Any) -> Any:
        """Return rows of which batches can be taken, by `take` and `slice`."""

    def large_batches(self, rows: Any) -> Iterable[Any]:
        """Return the rows in order, in batches that suit a pass without training."""

    def pass_threads(self, rows: Any) -> AbstractContextManager[None]:
        """Limit threads to what such a pass keeps busy."""


class TensorRows:
    """Rows of a tensor, on the device.

    Parameters
    ----------
    rows : Tensor of shape (n_rows, ...)
        Kept as it is; what is taken from it is a copy, as a body may overwrite it.
    """

    def __init__(self, rows: Tensor):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, order: Tensor) -> Tensor:
        """Return the rows of these numbers."""
        return self.rows.index_select(0, order)

    def slice(self, start: int, stop: int) -> Tensor:
        """Return the rows from `start` to `stop`."""
        return self.rows[start:stop].clone()


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
        Nested as the values are, with rows as leaves.
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


def to_keep(rows: Tensor) -> np.ndarray:
    """Return rows as an array for a file.

    Raises
    ------
    TypeError
        For numbers that NumPy has not.
    """
    if rows.dtype == torch.bfloat16:
        raise TypeError(
            "The frozen part of the backbone computes in bfloat16, which NumPy's files do not "
            "hold. Give backbone.float(), or frozen_cache=FrozenCache(enabled=False)."
        )
    array: np.ndarray = rows.cpu().numpy()
    return array


def found_rows(found: Found, device: torch.device, in_memory: bool) -> list[Any]:
    """Return the rows of each array of what was found."""
    if not in_memory:
        return [StoredRows(found, number, device) for number in range(found.n_arrays)]
    everything = np.arange(len(found.row_of))
    arrays = (found.take(number, everything) for number in range(found.n_arrays))
    return [TensorRows(torch.from_numpy(array).to(device)) for array in arrays]


@torch.no_grad()
def passes(part: fx.GraphModule, rows: Any, batcher: Batcher) -> Iterator[tuple[Any, ...]]:
    """Yield what a part of a body, in evaluation mode, makes of each batch of rows."""
    part.eval()
    with batcher.pass_threads(rows):
        for batch in batcher.large_batches(rows):
            yield part(batch) if isinstance(batch, Tensor) else part(*batch)


def fits_memory(n_bytes: int) -> bool:
    """Whether so much is held in memory, by scikit-learn's ``working_memory``."""
    return bool(n_bytes <= sklearn.get_config()["working_memory"] * 2**20)
