"""Figures of rows: how far they are apart, and how many they are worth."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics.pairwise import euclidean_distances

from .._row_order import draw_rows

# Rows that a bandwidth is estimated from.
MOST_ROWS_FOR_MEDIAN = 500


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
