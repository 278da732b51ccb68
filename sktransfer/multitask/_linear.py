"""Linear models of several tasks, their coefficients drawn from one distribution.

Columns of ``W`` are the tasks' coefficients, and the penalty is ``tr(W A^-1 W')``: a normal
prior in which the tasks have the covariance ``A``. With ``A = F F'`` and ``W = V F'`` it is
``||V||^2``, for a singular ``A``, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.utils.extmath import safe_sparse_dot

MOST_GRAM_VALUES = 2e7  # of the tasks' second moments, 160 MB
MOST_FEATURES = 1000  # whose mean second moments are decomposed, to step by
TOLERANCE = 1e-9


class TaskRows(NamedTuple):
    """Rows of one task, what is known of them, and their shares of the loss."""

    X: Any
    y: np.ndarray
    shares: np.ndarray


def factor(covariance: np.ndarray) -> np.ndarray:
    """Return ``F = U a^(1/2)`` of ``A = U a U'``, without directions that are zero to rounding."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > values.max(initial=0) * len(values) * np.finfo(float).eps
    return vectors[:, kept] * np.sqrt(values[kept])


class SquaredLosses:
    """``L(W) = sum_t sum_i s_i (y_i - x_i'w_t)^2`` of tasks with dense rows."""

    def __init__(self, tasks: Iterable[TaskRows], n_tasks: int, n_features: int):
        self.tasks: list[TaskRows] = []
        self.grams = np.empty((0, n_features, n_features))
        keeps_grams = n_tasks * n_features**2 <= MOST_GRAM_VALUES
        grams, moments, squares = [], [], 0.0
        steps_by_mean = n_features <= MOST_FEATURES
        mean = np.zeros((n_features, n_features) if steps_by_mean else 1)
        for task in tasks:
            moments.append((task.X.T * task.shares) @ task.y)
            squares += float(task.shares @ (task.X**2).sum(axis=1))
            if keeps_grams or steps_by_mean:
                gram = (task.X.T * task.shares) @ task.X
                mean = mean + gram if steps_by_mean else mean
            if keeps_grams:
                grams.append(gram)
            else:
                self.tasks.append(task)
        self.moments = np.column_stack(moments)
        if keeps_grams:
            self.grams = np.array(grams)
        self.vectors = None
        self.values = np.full(n_features, squares / (n_features * n_tasks))
        if steps_by_mean:
            self.values, self.vectors = np.linalg.eigh(mean / n_tasks)

    def curvature(self, W: np.ndarray) -> np.ndarray:
        """Return the columns ``X_t' S_t X_t w_t``, half the change of the gradient along ``W``."""
        if len(self.grams):
            return np.matmul(self.grams, W.T[:, :, np.newaxis])[:, :, 0].T
        columns = zip(self.tasks, W.T, strict=True)
        return np.column_stack([t.X.T @ (t.shares * (t.X @ w)) for t, w in columns])

    def solve(self, covariance: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
        """Return the ``W`` of least ``L(W) + tr(W A^-1 W')``, by conjugate gradients in ``V``.

        Steps are scaled as if all tasks had the mean of their second moments.
        """
        F = factor(covariance)
        prior = (F**2).sum(axis=0)
        scales = 1 / (1 + np.outer(np.maximum(self.values, 0), prior))

        def scaled(R: np.ndarray) -> np.ndarray:
            if self.vectors is None:
                return R * scales
            return self.vectors @ ((self.vectors.T @ R) * scales)

        target = self.moments @ F
        V = np.zeros_like(target) if start is None else start @ (F / prior)
        R = target - V - self.curvature(V @ F.T) @ F
        P = Z = scaled(R)
        rho = float((R * Z).sum())
        enough = TOLERANCE**2 * float((target * scaled(target)).sum())
        for _ in range(10 * V.size):
            if rho <= enough:
                break
            Q = P + self.curvature(P @ F.T) @ F
            step = rho / float((P * Q).sum())
            V, R = V + step * P, R - step * Q
            Z = scaled(R)
            rho, before = float((R * Z).sum()), rho
            P = Z + rho / before * P
        return V @ F.T


class LogisticLosses:
    """``L(W, b) = sum_t sum_i -s_i log softmax(W_t x_i + b_t)[y_i]`` over each task's classes.

    Rows of ``W``, as an array of shape (n_classes * n_features, n_tasks), go through the
    features of a class before those of the next. ``y`` holds numbers of classes.
    """

    def __init__(self, tasks: list[TaskRows], has_class: np.ndarray, fit_intercept: bool):
        self.tasks = tasks
        self.has_class = has_class  # (n_tasks, n_classes)
        self.fit_intercept = fit_intercept
        self.intercepts = np.zeros(has_class.shape)

    def value_and_slopes(
        self, W: np.ndarray, b: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Return ``L`` and its derivatives by ``W`` and ``b``."""
        value, of_W, of_b = 0.0, np.zeros_like(W), np.zeros_like(b)
        for code, (X, y, shares) in enumerate(self.tasks):
            classes = np.flatnonzero(self.has_class[code])
            own = W[:, code].reshape(b.shape[1], -1)[classes]
            logits = safe_sparse_dot(X, own.T, dense_output=True) + b[code, classes]
            log_p = log_softmax(logits, axis=1)
            hits = np.searchsorted(classes, y)
            rows = np.arange(len(y))
            value -= float(shares @ log_p[rows, hits])
            slopes = np.exp(log_p)
            slopes[rows, hits] -= 1
            slopes *= shares[:, np.newaxis]
            of_b[code, classes] = slopes.sum(axis=0)
            grid = of_W[:, code].reshape(b.shape[1], -1)
            grid[classes] = safe_sparse_dot(X.T, slopes, dense_output=True).T
            of_W[:, code] = grid.ravel()
        return value, of_W, of_b

    def solve(self, covariance: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
        """Return the ``W`` of least ``L(W, b) + tr(W A^-1 W')``, with its ``b`` in `intercepts`."""
        F = factor(covariance)
        n_features = self.tasks[0].X.shape[1]
        shape = (self.has_class.shape[1] * n_features, F.shape[1])
        size = shape[0] * shape[1]

        def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
            V = parameters[:size].reshape(shape)
            b = parameters[size:].reshape(self.has_class.shape)
            value, of_W, of_b = self.value_and_slopes(V @ F.T, b)
            of_V = of_W @ F + 2 * V
            of_b = of_b if self.fit_intercept else np.zeros_like(b)
            return value + float((V**2).sum()), np.concatenate([of_V.ravel(), of_b.ravel()])

        V = np.zeros(shape) if start is None else start @ (F / (F**2).sum(axis=0))
        first = np.concatenate([V.ravel(), self.intercepts.ravel()])
        found = minimize(
            objective,
            first,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 1000, "maxfun": 2000, "ftol": 1e-16, "gtol": 1e-10},
        ).x
        self.intercepts = found[size:].reshape(self.has_class.shape)
        return found[:size].reshape(shape) @ F.T
