"""Rows that are read when they are asked for: of mapped files and of torch Datasets."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

# Rows of which labels, or bytes, are read at once.
ROWS_AT_ONCE = 1024


class LazyArray(metaclass=ABCMeta):
    """Rows in the shape of an array, of which a selection is as lazy as the whole.

    Parameters
    ----------
    source : object with `__len__`
        Where the rows are.
    order : ndarray of int or None
        Which of them, in this order; None for all.
    """

    def __init__(self, source: Any, order: np.ndarray | None = None):
        self.source, self.order = source, order
        row_shape, self.dtype = self._describe()
        self.shape = (len(source) if order is None else len(order), *row_shape)

    @abstractmethod
    def _describe(self) -> tuple[tuple[int, ...], np.dtype]:
        """Return shape and type of a row."""

    @abstractmethod
    def _read(self, places: np.ndarray) -> Tensor:
        """Return the rows at these places of the source, on the CPU."""

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> LazyArray:
        return type(self)(self.source, np.atleast_1d(self.places()[rows]))

    def places(self) -> np.ndarray:
        """Return where in the source each row is."""
        return np.arange(len(self.source)) if self.order is None else self.order

    def read(self, rows: np.ndarray) -> Tensor:
        """Return the rows of these numbers, on the CPU and in memory."""
        return self._read(rows if self.order is None else self.order[rows])

    def blocks(self) -> Iterator[Tensor]:
        """Yield all rows, some at once."""
        for start in range(0, len(self), ROWS_AT_ONCE):
            yield self.read(np.arange(start, min(start + ROWS_AT_ONCE, len(self))))


class MappedArray(LazyArray):
    """Rows of a mapped file, an array whose memory is the file's."""

    def _describe(self) -> tuple[tuple[int, ...], np.dtype]:
        return self.source.shape[1:], self.source.dtype

    def _read(self, places: np.ndarray) -> Tensor:
        return torch.from_numpy(self.source[places])


class DatasetArray(LazyArray):
    """Rows of a torch Dataset, whose items are rows or pairs of row and label."""

    def _describe(self) -> tuple[tuple[int, ...], np.dtype]:
        if len(self.source) == 0:
            raise ValueError("The Dataset has no rows; give one with at least one.")
        row = self._read(np.array([0]))[0]
        return tuple(row.shape), torch.empty(0, dtype=row.dtype).numpy().dtype

    def _read(self, places: np.ndarray) -> Tensor:
        return collate_rows([self.source[place] for place in places.tolist()])


class LazyRows:
    """Rows of a `LazyArray`, read batch by batch.

    Parameters
    ----------
    array : LazyArray
        The rows.
    device : torch.device
        Where the batches go.
    dtype : torch.dtype
        What `take` returns.
    num_workers : int
        Processes that read ahead.
    """

    def __init__(
        self, array: LazyArray, device: torch.device, dtype: torch.dtype, num_workers: int
    ):
        self.lazy, self.device, self.dtype = array, device, dtype
        self.num_workers = num_workers if isinstance(array, DatasetArray) else 0

    def __len__(self) -> int:
        return len(self.lazy)

    def take(self, order: Tensor) -> Tensor:
        """Return the rows of these numbers, in `dtype`."""
        return self._moved(self.lazy.read(order.cpu().numpy()))

    def slice(self, start: int, stop: int) -> Tensor:
        """Return the rows from `start` to `stop`, in `dtype`."""
        return self.take(torch.arange(start, min(stop, len(self))))

    def take_each(self, steps: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield the rows of each step, read ahead by the workers if there are any."""
        if self.num_workers == 0:
            yield from map(self.take, steps)
            return
        places = self.lazy.places()
        loader = DataLoader(
            self.lazy.source,
            batch_sampler=[places[step.cpu().numpy()].tolist() for step in steps],
            num_workers=self.num_workers,
            collate_fn=collate_rows,
            generator=torch.Generator(),  # of its own, so that torch's global one is left alone
        )
        yield from map(self._moved, loader)

    def array(self) -> LazyArray:
        """Return all rows as `predict` takes them."""
        return self.lazy

    def _moved(self, rows: Tensor) -> Tensor:
        if not self.dtype.is_floating_point:
            check_whole(rows.numpy())
        return rows.to(self.device, self.dtype)


def check_whole(X: np.ndarray) -> None:
    """Check that rows for a body that looks up integers hold nothing else.

    Raises
    ------
    ValueError
        Naming the first number with a fraction.
    """
    if X.dtype.kind != "f":
        return
    broken = X[X != np.trunc(X)]
    if broken.size:
        raise ValueError(
            f"X holds {broken.flat[0]:g}, but the body takes integers alone (it failed on floats "
            "and holds an nn.Embedding, which looks up whole numbers). Give codes: OrdinalEncoder "
            "for categories, a tokenizer for text."
        )


def collate_rows(items: list[Any]) -> Tensor:
    """Stack the rows of a Dataset's items, which are rows or begin with one.

    Raises
    ------
    TypeError, ValueError
        For rows that are neither tensors nor arrays of numbers, or not finite.
    """
    rows = [item[0] if isinstance(item, (tuple, list)) else item for item in items]
    if not all(isinstance(row, (Tensor, np.ndarray)) and row.ndim > 0 for row in rows):
        raise TypeError(
            f"The Dataset yields {type(rows[0]).__name__} {rows[0]!r:.80}; it must yield rows, "
            "tensors or arrays of at least one dimension, or pairs (row, label). A transform in "
            "its __getitem__ can make them."
        )
    shapes = {tuple(row.shape) for row in rows}
    if len(shapes) > 1:
        raise ValueError(
            f"The Dataset yields rows of the shapes {sorted(shapes)[:5]}; all must be of one "
            "shape. A transform in its __getitem__ can crop, pad or resize them."
        )
    stacked: Tensor = default_collate(rows)
    if stacked.is_floating_point() and not stacked.isfinite().all():
        raise ValueError(
            "The Dataset yields a row that holds NaN or infinity: give finite numbers, or drop or "
            "fill such rows."
        )
    return stacked


def read_labels(dataset: Dataset[Any], num_workers: int) -> np.ndarray:
    """Read the labels of a Dataset that yields pairs (row, label), in one pass over it.

    Raises
    ------
    TypeError
        For items that are no pairs.
    """
    loader = DataLoader(
        dataset,
        batch_size=ROWS_AT_ONCE if num_workers == 0 else 64,
        num_workers=num_workers,
        collate_fn=_labels_of,
        generator=torch.Generator(),
    )
    return np.asarray([label for labels in loader for label in labels])


def _labels_of(items: list[Any]) -> list[Any]:
    if not all(isinstance(item, (tuple, list)) and len(item) == 2 for item in items):
        raise TypeError(
            "X is a Dataset that yields no pairs (row, label), and y was not given: pass y, a "
            "label for each row, or have the Dataset yield pairs."
        )
    return [label.item() if isinstance(label, Tensor) else label for _, label in items]
