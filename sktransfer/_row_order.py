"""Draw rows at random, yet in a way that does not depend on the order they come in."""

from __future__ import annotations

from typing import Any

import numpy as np


def shuffle_rows(X: Any, random_state: np.random.RandomState) -> np.ndarray:
    """Return a random order of rows; the same rows come first however `X` is ordered.

    Rows are sorted by their projection on a random direction and shuffled then, so equal
    seeds give equal rows (not equal row numbers).
    """
    projection = np.asarray(X @ random_state.normal(size=X.shape[1])).ravel()
    return np.argsort(projection, kind="stable")[random_state.permutation(X.shape[0])]


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
