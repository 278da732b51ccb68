"""Linear models of several tasks, their coefficients drawn from one distribution.

Columns of ``W`` are the tasks' coefficients, and the penalty is ``tr(W A^-1 W')``: a normal
prior in which the tasks have the covariance ``A``. With ``A = F F'`` and ``W = V F'`` it is
``||V||^2``, for a singular ``A``, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.utils.extmath import row_norms, safe_sparse_dot

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


def principal_moments(
    tasks: list[TaskRows], means: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return eigenvalues and eigenvectors of ``1/T sum_t sum_i s_i (x_i - m_t) (x_i - m_t)'``.

    ``m_t`` is a task's row of `means`. Of more features than are decomposed each value is the mean
    of the diagonal, and there are no vectors.
    """
    n_tasks, n_features = means.shape
    total = np.array([task.shares.sum() for task in tasks])
    if n_features > MOST_FEATURES:
        squares = sum(float(task.shares @ row_norms(task.X, squared=True)) for task in tasks)
        mean = (squares - float(total @ (means**2).sum(axis=1))) / (n_tasks * n_features)
        return np.full(n_features, max(mean, 0.0)), None
    moments = -(means.T * total) @ means
    for X, _, shares in tasks:
        moments += safe_sparse_dot(X.T, sparse.diags_array(shares) @ X, dense_output=True)
    values, vectors = np.linalg.eigh(moments / n_tasks)
    return np.maximum(values, 0.0), vectors


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
        total = np.array([task.shares.sum() for task in tasks])
        self.total = np.where(total > 0, total, 1.0)
        self.means = np.zeros((len(tasks), tasks[0].X.shape[1]))
        if fit_intercept:
            sums = [task.shares @ task.X for task in tasks]
            self.means = np.array(sums) / self.total[:, np.newaxis]
        self.values, self.vectors = principal_moments(tasks, self.means)

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
        """Return the ``W`` of least ``L(W, b) + tr(W A^-1 W')``, with its ``b`` in `intercepts`.

        Searched for are ``V`` of ``W = V F'``, along the principal directions of the features, and
        the logits at a task's mean, ``b + W m``, both scaled by the curvature: so features far from
        zero, or of unequal scales, take no more steps than others.
        """
        F = factor(covariance)
        n_tasks, n_classes = self.has_class.shape
        shape = n_classes, len(self.values), F.shape[1]
        size = int(np.prod(shape))
        along, of_level = self.step_lengths((F**2).sum(axis=0))

        def unpack(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            V = self.turned(along * parameters[:size].reshape(shape))
            W = (V @ F.T).reshape(-1, n_tasks)
            levels = of_level * parameters[size:].reshape(n_tasks, n_classes)
            return V, W, levels - self.logits_at_means(W)

        def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
            V, W, b = unpack(parameters)
            value, of_W, of_b = self.value_and_slopes(W, b)
            of_b = of_b if self.fit_intercept else np.zeros_like(b)
            of_W = of_W.reshape(n_classes, -1, n_tasks) - np.einsum("tk,td->kdt", of_b, self.means)
            of_V = along * self.turned(of_W @ F + 2 * V, back=True)
            slopes = np.concatenate([of_V.ravel(), (of_level * of_b).ravel()])
            return value + float((V**2).sum()), slopes

        V, levels = np.zeros(shape), self.intercepts
        if start is not None:
            V = (start @ (F / (F**2).sum(axis=0))).reshape(shape)
            levels = levels + self.logits_at_means(start)
        first = np.concatenate(
            [(self.turned(V, back=True) / along).ravel(), (levels / of_level).ravel()]
        )
        found = minimize(
            objective,
            first,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 1000, "maxfun": 2000, "ftol": 1e-16, "gtol": 1e-10},
        ).x
        _, W, self.intercepts = unpack(found)
        return W

    def step_lengths(self, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return by what ``V`` and the logits at the means are scaled, so that all curve alike.

        The curvature of the softmax is taken for that at equal probabilities, ``(K - 1) / K^2``.
        """
        n_classes = self.has_class.sum(axis=1).mean()
        curvature = (n_classes - 1) / n_classes**2
        along = 1 / np.sqrt(1 + curvature / 2 * np.outer(self.values, prior))
        return along, np.sqrt(2 / (curvature * self.total))[:, np.newaxis]

    def turned(self, V: np.ndarray, back: bool = False) -> np.ndarray:
        """Return coefficients of the principal directions as those of the features, or `back`."""
        if self.vectors is None:
            return V
        turned: np.ndarray = (self.vectors.T if back else self.vectors) @ V
        return turned

    def logits_at_means(self, W: np.ndarray) -> np.ndarray:
        """Return ``W_t m_t``, shape (n_tasks, n_classes)."""
        by_class = W.reshape(self.has_class.shape[1], -1, len(self.means))
        return np.einsum("kdt,td->tk", by_class, self.means)
