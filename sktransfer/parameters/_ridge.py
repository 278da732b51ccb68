"""Ridge regression whose penalty is centred on given coefficients."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse


def center(X: Any, y: np.ndarray, shares: np.ndarray, fit_intercept: bool) -> Any:
    """Return dense rows and values less their weighted means, and the means."""
    X = X.toarray() if sparse.issparse(X) else X
    if not fit_intercept:
        return X, y, np.zeros(X.shape[1]), 0.0
    X_mean, y_mean = shares @ X, shares @ y
    return X - X_mean, y - y_mean, X_mean, y_mean


def deviations(
    X: np.ndarray, residuals: np.ndarray, shares: np.ndarray, strengths: Any, fit_intercept: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Solve ``min_v sum_i p_i (r_i - x_i'v)^2 + strength ||v||^2`` for several strengths.

    Rows and residuals are centred, where there is an intercept. One SVD serves all strengths.

    Returns
    -------
    coef : ndarray of shape (n_strengths, n_features)
        The ``v``; of least norm for strength 0, zeros for an infinite one.
    errors : ndarray of shape (n_strengths,)
        ``sum_i p_i (r_i / (1 - h_i))^2``, the squared leave-one-out error, with the leverages
        ``h``. Infinite where a row has leverage 1: without it, anything fits.
    """
    root = np.sqrt(shares)
    left, values, right = np.linalg.svd(root[:, np.newaxis] * X, full_matrices=False)
    rank = int((values > values.max(initial=0) * max(X.shape) * np.finfo(float).eps).sum())
    left, values, right = left[:, :rank], values[:rank], right[:rank]
    projected = left.T @ (root * residuals)
    coefs, errors = [], []
    for strength in strengths:
        if np.isinf(strength):
            shrunk = hat = np.zeros(rank)
        else:
            shrunk, hat = values / (values**2 + strength), values**2 / (values**2 + strength)
        coefs.append(right.T @ (shrunk * projected))
        leverages = (left**2 * hat).sum(axis=1) + (shares if fit_intercept else 0)
        kept = 1 - leverages
        left_out = residuals - X @ coefs[-1]
        exact = kept < 1e-10
        safe = np.where(exact, 1.0, kept)
        errors.append(np.inf if exact.any() else float(shares @ (left_out / safe) ** 2))
    return np.array(coefs), np.array(errors)
