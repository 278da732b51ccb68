"""Rows and labels that metrics get: checked at the border, read in blocks of float64."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import scipy.sparse
import sklearn
from sklearn.utils import gen_batches
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d

from ..validation._arrays import as_array, check_same_columns
from ..validation._naming import check_values, named
from ..validation._target_labels import find_labelled

# Above this, blocks of rows take more memory and no less time.
MOST_ROWS = 2048


def working_numbers() -> float:
    """Return how many numbers of 8 bytes scikit-learn's ``working_memory`` holds."""
    return sklearn.get_config()["working_memory"] * 2**20 / 8


def row_blocks(X) -> list[slice]:
    """Cut rows so that a kernel on two blocks stays within scikit-learn's ``working_memory``.

    Two blocks of m rows of width d and three m x m matrices hold ``2 m d + 3 m^2`` numbers.
    """
    n_rows = (math.sqrt(X.shape[1] ** 2 + 3 * working_numbers()) - X.shape[1]) / 3
    return list(gen_batches(X.shape[0], min(max(int(n_rows), 1), MOST_ROWS)))


def read_rows(X, rows) -> np.ndarray:
    """Return some rows of an array or CSR matrix, dense and in double precision."""
    block = X[rows]
    return (block.toarray() if scipy.sparse.issparse(block) else block).astype(np.float64)


def iter_rows(X) -> Iterator[np.ndarray]:
    """Yield all rows, block by block."""
    for block in row_blocks(X):
        yield read_rows(X, block)


def check_rows(X, name: str, *, accept_sparse: bool = False):
    """Check that X is two-dimensional, finite and of real numbers.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what is wanted.
    """
    X = as_array(X, name)
    with named(name, X):
        X = check_array(
            X,
            accept_sparse="csr" if accept_sparse else False,
            dtype=[np.float64, np.float32],
            ensure_2d=False,
            allow_nd=True,
            input_name=name,
        )
    if X.ndim != 2:
        shape = "reshape(-1, 1) for one feature" if X.ndim == 1 else f"reshape({len(X)}, -1)"
        raise ValueError(
            f"{name} has shape {X.shape}; it must have two dimensions, a row of features for each "
            f"sample: {name}.{shape}."
        )
    check_values(X, name)
    return X


def check_domains(X_source, X_target, *, least_rows: int = 1, why: str = ""):
    """Check the rows of both domains, arrays or CSR, and that they have the same width.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what is wanted.
    """
    check_same_columns(X_source, X_target, "X_source")
    X_source = check_rows(X_source, "X_source", accept_sparse=True)
    X_target = check_rows(X_target, "X_target", accept_sparse=True)
    if X_source.shape[1] != X_target.shape[1]:
        raise ValueError(
            f"X_source has {X_source.shape[1]} features, but X_target has {X_target.shape[1]}. "
            "Both domains must hold the same features in the same order."
        )
    for name, X in (("X_source", X_source), ("X_target", X_target)):
        if X.shape[0] < least_rows:
            raise ValueError(
                f"{name} has {X.shape[0]} row(s), but {why} at least {least_rows} of each domain."
            )
    return X_source, X_target


def check_labels(y, n_rows: int, name: str) -> np.ndarray:
    """Return the labels as numbers of their classes, 0 to n_classes - 1.

    Raises
    ------
    ValueError
        For labels that are missing or too few, and for a single class.
    """
    y = as_array(y, "y")
    n_missing = int(np.sum(~find_labelled(y)))
    with named("y"):
        y = column_or_1d(y)
    if len(y) != n_rows:
        raise ValueError(
            f"y has {len(y)} labels for the {n_rows} rows of {name}: give one label for each row."
        )
    if n_missing:
        raise ValueError(
            f"{n_missing} of the {len(y)} labels in y are missing. Give the labelled rows alone: "
            f"keep = pandas.notna(y), then {name}[keep] and y[keep]."
        )
    with named("y"):
        check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y holds the one class {classes.tolist()[0]!r}; a ranking needs labels of at least "
            "two classes."
        )
    return codes.reshape(-1)
