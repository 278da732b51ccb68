"""Draw rows at random, yet in a way that does not depend on the order they come in."""

from __future__ import annotations

from typing import Any

import numpy as np

# Rows that are projected together, so that a copy of them all as floats is never made.
ROWS_AT_ONCE = 4096


def project_rows(X: Any, random_state: np.random.RandomState) -> np.ndarray:
    """Return the rows' projections on a random direction; what is missing counts as 0."""
    n_columns = int(np.prod(X.shape[1:]))
    direction = random_state.normal(size=n_columns)
    parts = [X[start : start + ROWS_AT_ONCE] for start in range(0, X.shape[0], ROWS_AT_ONCE)]
    projected = [_project(part.reshape(part.shape[0], n_columns), direction) for part in parts]
    return np.concatenate(projected)


def order_rows(X: Any, random_state: np.random.RandomState) -> np.ndarray:
    """Return an order of rows that is that of their contents: their projection at random.

    Rows that are read when needed keep the order they have.
    """
    if not hasattr(X, "reshape"):
        random_state.normal(size=int(np.prod(X.shape[1:])))  # as many draws as for any others
        return np.arange(X.shape[0])
    return np.argsort(project_rows(X, random_state), kind="stable")


def _project(rows: Any, direction: np.ndarray) -> np.ndarray:
    projected = np.asarray(rows @ direction).ravel()
    if np.isnan(projected).any():
        dense = rows.toarray() if hasattr(rows, "toarray") else rows
        return np.where(np.isnan(dense), 0.0, dense) @ direction
    return projected


def shuffle_rows(X: Any, random_state: np.random.RandomState) -> np.ndarray:
    """Return a random order of rows; the same rows come first however `X` is ordered.

    Rows are sorted by their projection on a random direction and shuffled then, so equal
    seeds give equal rows (not equal row numbers).
    """
    return order_rows(X, random_state)[random_state.permutation(X.shape[0])]


def draw_rows(X: Any, n_rows: int, random_state: np.random.RandomState) -> Any:
    """Return at most `n_rows` rows of `X`, drawn without replacement."""
    return X[shuffle_rows(X, random_state)[:n_rows]]


def make_folds(
    X: Any, y: np.ndarray, n_folds: int, random_state: np.random.RandomState
) -> list[np.ndarray]:
    """Return the row numbers of at most `n_folds` folds, each with its share of every class."""
    order = shuffle_rows(X, random_state)
    order = order[np.argsort(y[order], kind="stable")]
    n_folds = min(n_folds, len(order))
    return [order[first::n_folds] for first in range(n_folds)]
