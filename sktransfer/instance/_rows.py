"""Draw rows at random, yet in a way that does not depend on the order they come in."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics.pairwise import euclidean_distances

# Rows that a bandwidth is estimated from.
MOST_ROWS_FOR_MEDIAN = 500


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


def median_distance(X: Any, X_target: Any, random_state: np.random.RandomState) -> float:
    """Return the median distance of two rows of the domains together; 1 where all are equal."""
    parts = [draw_rows(part, MOST_ROWS_FOR_MEDIAN, random_state) for part in (X, X_target)]
    within = [euclidean_distances(part)[np.triu_indices(part.shape[0], 1)] for part in parts]
    across = euclidean_distances(*parts).ravel()
    distances = np.concatenate([*within, across])
    distances = distances[distances > 0]
    return float(np.median(distances)) if len(distances) else 1.0


def effective_size(weights: np.ndarray) -> float:
    """Return Kish's effective number of rows, ``(sum w)^2 / sum w^2``."""
    return float(weights.sum() ** 2 / (weights**2).sum())
