"""What linear models of several tasks share: rows and labels in, coefficients out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator
from sklearn.utils.extmath import safe_sparse_dot

from .._docs import BLOCKS
from .._estimator import AtomicFitMixin
from ..data._domain import Domain
from ..validation._constraints import Interval, Real
from ..validation._domains import check_rows_to_predict
from ._answers import TaskClassifierMixin, TaskRegressorMixin
from ._linear import LogisticLosses, SquaredLosses, TaskRows
from ._tasks import TaskLabels, check_tasks

FLOATS = [np.float64, np.float32]
POSITIVE = [Interval(Real, 0, np.inf, closed="right")]

# Of a prior's covariance of tasks and coefficients to start from, the coefficients
# (n_coefficients, n_tasks).
Solve = Callable[..., np.ndarray]

BLOCKS["tasks_of_linear_models"] = """\
``fit(X, y, task=task)`` gets one label a row and the row's task, and so do `predict` and `score`;
``fit(X, Y)`` gets a column of labels for each task, where None and NaN are not known. Without
either there is one task, and a warning."""

BLOCKS["attributes_of_linear_tasks"] = """\
tasks_ : ndarray of shape (n_tasks,)
    Names of the tasks: values of `task`, or names or numbers of columns.
task_layout_ : {"single", "columns", "rows"}
    How labels were given.
n_features_in_ : int
    Columns.
feature_names_in_ : ndarray of str
    Their names, where `X` had names of strings."""


class BaseLinearTasks(AtomicFitMixin, BaseEstimator):
    """Linear in the features, with coefficients of each task that one prior relates."""

    shrink_intercept: bool

    @abstractmethod
    def _relate(self, solve: Solve, n_tasks: int) -> np.ndarray:
        """Return the coefficients (n_coefficients, n_tasks), and set what relates the tasks."""

    @abstractmethod
    def _losses(self, rows, y: np.ndarray, code: int) -> np.ndarray:
        """Return the loss of each row of a task, whose labels are in `y`."""

    def _held_out_loss(self, source: Domain, labels: TaskLabels, held_out: np.ndarray) -> float:
        """Return the sum of the losses of those rows, weighed."""
        weights = np.ones(len(source)) if source.sample_weight is None else source.sample_weight
        loss = 0.0
        for code in range(len(labels.names)):
            rows = labels.rows_of(code)
            kept = held_out[rows]
            if kept.any():
                y, rows = labels.labels_of(code)[kept], rows[kept]
                loss += float(weights[rows] @ self._losses(source.X[rows], y, code))
        return loss

    def _check_tasks(self, X, y, task, sample_weight) -> tuple[Domain, TaskLabels]:
        return check_tasks(self, X, y, task, sample_weight, dtype=FLOATS)

    def _shared_rows(self, X) -> Any:
        return check_rows_to_predict(self, X, dtype=FLOATS)

    def _rows_of(self, source: Domain, labels: TaskLabels, code: int) -> TaskRows:
        """Return a task's rows with weight, a constant feature behind them where it is drawn."""
        rows = labels.rows_of(code)
        y = labels.labels_of(code)
        weights = np.ones(len(source)) if source.sample_weight is None else source.sample_weight
        kept = weights[rows] > 0
        if not kept.all():
            rows, y = rows[kept], y[kept]
        X = source.X if len(rows) == len(source) else source.X[rows]
        if self.shrink_intercept:
            X = X.toarray() if hasattr(X, "toarray") else X
            X = np.column_stack([X, np.ones(len(rows))])
        return TaskRows(X, y, weights[rows])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class BaseLinearTaskRegressor(TaskRegressorMixin, BaseLinearTasks):
    """Squared loss."""

    coef_: np.ndarray
    intercept_: np.ndarray

    def _fit_tasks(self, source: Domain, labels: TaskLabels) -> None:
        n_tasks = len(labels.names)
        n_features = source.X.shape[1] + self.shrink_intercept
        sums = [
            (float(weights.sum()), float(weights @ y))
            for _, y, weights in (self._rows_of(source, labels, c) for c in range(n_tasks))
        ]
        total, offset = (sum(part) for part in zip(*sums, strict=True))
        offset /= total
        X_means, y_means = np.zeros((n_tasks, n_features)), np.full(n_tasks, offset)

        def tasks() -> Iterator[TaskRows]:
            for code in range(n_tasks):
                X, y, weights = self._rows_of(source, labels, code)
                X = X.toarray() if hasattr(X, "toarray") else X
                if not self.shrink_intercept and len(y):
                    X_means[code] = weights @ X / weights.sum()
                    y_means[code] = weights @ y / weights.sum()
                yield TaskRows(X - X_means[code], y - y_means[code], weights / total)

        W = self._relate(SquaredLosses(tasks(), n_tasks, n_features).solve, n_tasks)
        self.coef_ = W.T.copy()
        self.intercept_ = y_means - (X_means * self.coef_).sum(axis=1)
        if self.shrink_intercept:
            self.intercept_ = self.intercept_ + self.coef_[:, -1]
            self.coef_ = self.coef_[:, :-1]

    def _answer(self, rows, code: int) -> np.ndarray:
        return safe_sparse_dot(rows, self.coef_[code]) + self.intercept_[code]

    def _losses(self, rows, y: np.ndarray, code: int) -> np.ndarray:
        return (y - self._answer(rows, code)) ** 2


class BaseLinearTaskClassifier(TaskClassifierMixin, BaseLinearTasks):
    """Logistic loss, of more than two classes by softmax."""

    coef_: np.ndarray
    intercept_: np.ndarray

    def _fit_tasks(self, source: Domain, labels: TaskLabels) -> None:
        self._set_classes(labels)
        n_tasks = len(labels.names)
        every = sorted({one for classes in self.task_classes_ for one in classes.tolist()}, key=key)
        number = {one: code for code, one in enumerate(every)}
        has_class = np.zeros((n_tasks, len(every)), dtype=bool)
        tasks = []
        for code, classes in enumerate(self.task_classes_):
            has_class[code, [number[one] for one in classes.tolist()]] = True
            X, y, weights = self._rows_of(source, labels, code)
            tasks.append(TaskRows(X, np.array([number[one] for one in y.tolist()], int), weights))
        total = sum(float(task.shares.sum()) for task in tasks)
        losses = LogisticLosses(
            [TaskRows(X, y, weights / total) for X, y, weights in tasks],
            has_class,
            not self.shrink_intercept,
        )
        W = self._relate(losses.solve, n_tasks)
        self.coef_ = W.T.reshape(n_tasks, len(every), -1)
        self.intercept_ = losses.intercepts
        if self.shrink_intercept:
            self.intercept_ = self.coef_[:, :, -1]
            self.coef_ = self.coef_[:, :, :-1]
        self._has_class = has_class

    def _answer(self, rows, code: int) -> np.ndarray:
        own = self._has_class[code]
        logits = safe_sparse_dot(rows, self.coef_[code, own].T, dense_output=True)
        return softmax(logits + self.intercept_[code, own], axis=1)

    def _losses(self, rows, y: np.ndarray, code: int) -> np.ndarray:
        number = {label: k for k, label in enumerate(self.task_classes_[code].tolist())}
        drawn = np.array([number[label] for label in y.tolist()])
        probabilities = self._answer(rows, code)[np.arange(len(y)), drawn]
        return -np.log(np.maximum(probabilities, np.finfo(float).tiny))


def key(label: Any) -> tuple[bool, Any]:
    """Return what sorts texts behind numbers."""
    return isinstance(label, str), label
