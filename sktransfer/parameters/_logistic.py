"""Logistic regression whose penalty is centred on given coefficients."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax
from sklearn.utils.extmath import safe_sparse_dot


def spread_prior(
    coef: np.ndarray, intercept: np.ndarray, known: np.ndarray, classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return a source's coefficients for the `classes` of both domains, intercepts included.

    Two classes keep their single row. For more, a single row becomes two of half its size, rows are
    centred (which changes no probability), and a class that the source does not know gets zeros.
    """
    if np.array_equal(known, classes):
        return coef, intercept
    if len(known) == 2:
        coef = np.concatenate([-coef, coef]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    of_known = np.searchsorted(classes, known)
    wide, offsets = np.zeros((len(classes), coef.shape[1])), np.zeros(len(classes))
    wide[of_known], offsets[of_known] = coef - coef.mean(axis=0), intercept - intercept.mean()
    return wide, offsets


def to_row_space(X: Any, coef: np.ndarray) -> tuple[Any, np.ndarray]:
    """Return rows and coefficients by coordinates in the span of the rows, if these are fewer.

    Logits ``X W'`` are the same there, and so is the distance of coefficients that were learned
    from some of these rows to those they were drawn to.
    """
    if X.shape[1] <= X.shape[0]:
        return X, coef
    dense = X.toarray() if sparse.issparse(X) else X
    left, values, right = np.linalg.svd(dense, full_matrices=False)
    return left * values, coef @ right.T


def losses_and_slopes(logits: np.ndarray, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the negative log likelihood of each row, and its derivatives by the logits.

    It is logistic for one column of logits and answers (0 or 1), softmax for more.
    """
    if logits.shape[1] == 1:
        losses = np.logaddexp(0, logits[:, 0]) - answers[:, 0] * logits[:, 0]
        return losses, expit(logits) - answers
    losses = -(answers * log_softmax(logits, axis=1)).sum(axis=1)
    return losses, softmax(logits, axis=1) - answers


def logistic_deviations(
    X: Any,
    codes: np.ndarray,
    shares: np.ndarray,
    prior: tuple[np.ndarray, np.ndarray],
    strength: float,
    shrink_intercept: bool,
    start: tuple[np.ndarray, np.ndarray] | None = None,
    tolerance: float = 1e-8,
) -> tuple[np.ndarray, np.ndarray]:
    """Solve ``min_{V, c} sum_j p_j loss(y_j, (W_S + V) x_j + b_S + c) + strength/2 ||V||^2``.

    The loss is that of `losses_and_slopes`, logistic for a prior of one row. Parameters near the
    solution are a `start` that saves steps, which end where no derivative is above `tolerance`.

    Returns
    -------
    coef, intercept : ndarray
        The parameters ``W_S + V`` and ``b_S + c``.
    """
    coef, intercept = prior
    n_outputs, n_features = coef.shape
    fixed = safe_sparse_dot(X, coef.T, dense_output=True) + intercept
    learn_coef = bool(np.isfinite(strength))
    if not learn_coef and shrink_intercept:
        return coef, intercept
    size = n_outputs * (n_features if learn_coef else 0)
    penalty = strength if learn_coef else 0.0
    scale = 1 / (1 + penalty)
    answers = (
        codes[:, np.newaxis].astype(float)
        if n_outputs == 1
        else (codes[:, np.newaxis] == np.arange(n_outputs)).astype(float)
    )

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        V, c = parameters[:size].reshape(n_outputs, -1), parameters[size:]
        logits = fixed + c
        if learn_coef:
            logits = logits + safe_sparse_dot(X, V.T, dense_output=True)
        losses, slopes = losses_and_slopes(logits, answers)
        slopes *= shares[:, np.newaxis]
        of_c = slopes.sum(axis=0) + (penalty * c if shrink_intercept else 0)
        value = shares @ losses + penalty / 2 * (V**2).sum()
        value += penalty / 2 * (c**2).sum() if shrink_intercept else 0
        of_V = safe_sparse_dot(X.T, slopes, dense_output=True).T + penalty * V if learn_coef else V
        return scale * value, scale * np.concatenate([of_V.ravel(), of_c])

    begin = np.zeros(size + n_outputs)
    if start is not None:
        begin[:size] = (start[0] - coef).ravel()[:size]
        begin[size:] = start[1] - intercept
    found = minimize(
        objective,
        begin,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 1000, "maxfun": 2000, "ftol": 1e-14, "gtol": tolerance * scale},
    ).x
    deviation = found[:size].reshape(coef.shape) if learn_coef else 0.0
    return coef + deviation, intercept + found[size:]


def log_losses(X: Any, codes: np.ndarray, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    """Return the negative log likelihood of each row."""
    logits = safe_sparse_dot(X, coef.T, dense_output=True) + intercept
    if logits.shape[1] == 1:
        return np.logaddexp(0, np.where(codes == 1, -1, 1) * logits[:, 0])
    return -log_softmax(logits, axis=1)[np.arange(len(codes)), codes]
