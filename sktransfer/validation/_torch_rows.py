"""Rows that torch can share, and checks of rows that did not come through `fit`."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array
from torch.utils.data import Dataset, IterableDataset

from ..data._lazy import DatasetArray, LazyArray, MappedArray, read_labels
from ..data._target_domain import is_dataset
from ._arrays import as_array
from ._domains import ArrayRows

# What torch has no arithmetic for, and what holds the same values.
_TORCH_DTYPES = {
    np.dtype(np.float16): np.float32,
    np.dtype(np.longdouble): np.float64,
    np.dtype(np.uint16): np.int32,
    np.dtype(np.uint32): np.int64,
    np.dtype(np.uint64): np.float64,
}


class TorchRows(ArrayRows):
    """Arrays that torch can share, mapped files read batch by batch, and torch Datasets.

    Parameters
    ----------
    num_workers : int, default=0
        Processes that read the labels of a Dataset.
    """

    def __init__(self, num_workers: int = 0):
        self.num_workers = num_workers

    def keep(self, checked: Any, given: Any) -> Any:
        """Copy what torch cannot share: exotic types, foreign byte order, negative strides.

        Rows of a mapped file that torch can share stay where they are.
        """
        dtype = checked.dtype.newbyteorder("=")
        shared = checked.dtype == _TORCH_DTYPES.get(dtype, dtype)
        if is_mapped(given) and shared and min(checked.strides) > 0:
            return MappedArray(checked)
        X = checked.astype(_TORCH_DTYPES.get(dtype, dtype), copy=False)
        if isinstance(X, np.ndarray) and any(stride < 0 for stride in X.strides):
            return np.ascontiguousarray(X)
        return X

    def read_dataset(self, dataset: Dataset[Any], name: str) -> DatasetArray:
        """Return the rows of a map-style Dataset, read when they are asked for."""
        _check_map_style(dataset, name)
        return DatasetArray(dataset)

    def read_labels(self, dataset: Dataset[Any]) -> np.ndarray:
        """Return the labels of a Dataset of pairs (row, label), in one pass over it."""
        _check_map_style(dataset, "X")
        return read_labels(dataset, self.num_workers)


def _check_map_style(dataset: Dataset[Any], name: str) -> None:
    if isinstance(dataset, IterableDataset):
        raise TypeError(
            f"{name} is an IterableDataset, of which no row can be asked for: give a map-style "
            "Dataset, with __len__ and __getitem__."
        )


def check_rows(X, name: str, input_shape: tuple[int, ...]):
    """Check rows that did not come through `fit` or `predict`.

    Raises
    ------
    ValueError, TypeError
        For rows of another shape than those trained on.
    """
    X = as_array(X, name)
    if is_dataset(X):
        X = TorchRows().read_dataset(X, name)
    elif not isinstance(X, LazyArray):
        checked = check_array(X, input_name=name, accept_sparse="csr", allow_nd=True)
        X = TorchRows().keep(checked, X)
    if X.shape[1:] != tuple(input_shape):
        raise ValueError(
            f"{name} has rows of shape {X.shape[1:]}, but training is on rows of shape "
            f"{tuple(input_shape)}. In a pipeline, give transformed rows."
        )
    return X


def is_mapped(X: Any) -> bool:
    """Whether an array's memory is that of a mapped file."""
    while isinstance(X, np.ndarray):
        X = X.base
    return isinstance(X, mmap.mmap)
