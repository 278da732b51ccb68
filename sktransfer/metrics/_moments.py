"""Means and covariances of rows in double precision, block by block."""

from __future__ import annotations

import numpy as np

from ._rows import iter_rows


def mean_row(X) -> np.ndarray:
    """Return the mean of the rows, shape (d,)."""
    return sum(block.sum(axis=0) for block in iter_rows(X)) / X.shape[0]


def covariance(X) -> np.ndarray:
    """Return the unbiased covariance of the rows, shape (d, d)."""
    mean, products = mean_row(X), np.zeros((X.shape[1], X.shape[1]))
    for block in iter_rows(X):
        block -= mean
        products += block.T @ block
    return products / (X.shape[0] - 1)


def total_variance(X) -> float:
    """Return the sum of the features' unbiased variances, the trace of the covariance."""
    mean = mean_row(X)
    return sum(float(np.square(block - mean).sum()) for block in iter_rows(X)) / (X.shape[0] - 1)
