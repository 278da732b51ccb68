"""The strength of a penalty, by the loss on rows of each task that are held out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from sklearn.utils.extmath import safe_sparse_dot

from .._row_order import project_rows

# Strengths that are tried, times the mean variance of a feature; the first are cheap to solve for.
STRENGTHS = np.logspace(3, -3, 13)

# So many in a row that are worse than the best before them end the search.
MOST_WORSE = 2

# Digits to which equal rows, summed up in another order, have the same projection.
DIGITS = 9


def mean_variance(X: Any, weights: np.ndarray) -> float:
    """Return ``1/d sum_j sum_i w_i (x_ij - m_j)^2 / sum w``; 1 where nothing varies."""
    shares = weights / weights.sum()
    means = safe_sparse_dot(shares[np.newaxis], X, dense_output=True)[0]
    if hasattr(X, "multiply"):
        squares = np.asarray((X.multiply(X)).T @ shares).ravel() - means**2
    else:
        squares = shares @ (X - means) ** 2
    variance = float(np.maximum(squares, 0).mean())
    return variance if variance > np.finfo(float).tiny else 1.0


def folds_of_tasks(X: Any, codes: np.ndarray, weights: np.ndarray, n_folds: int) -> np.ndarray:
    """Return the fold of each row, shape (n_rows,): rows go round them, those of a task together.

    They do so in the order of their contents, so that it does not matter in which order rows
    come, and equal rows of a task share a fold. Rows that weigh nothing are of none, -1.
    """
    projected = project_rows(X, np.random.RandomState(0))
    projected = np.round(projected / max(np.abs(projected).max(), np.finfo(float).tiny), DIGITS)
    folds, n_before = np.full(len(codes), -1), 0
    for code in np.unique(codes):
        rows = np.flatnonzero((codes == code) & (weights > 0))
        values, ranks = np.unique(projected[rows], return_inverse=True)
        folds[rows] = (n_before + ranks.ravel()) % n_folds
        n_before += len(values)
    return folds


def best_strength(strengths: Iterable[float], loss_of: Callable[[float], float]) -> float:
    """Return the strength of the least loss; from the first on, until `MOST_WORSE` are worse."""
    best, least, n_worse = np.inf, np.inf, 0
    for strength in strengths:
        loss = loss_of(strength)
        if loss < least:
            best, least, n_worse = strength, loss, 0
        elif (n_worse := n_worse + 1) == MOST_WORSE:
            break
    return float(best)
