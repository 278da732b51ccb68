"""How estimators of several tasks are fitted, asked and scored."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Never, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.validation import check_is_fitted

from ..data._domain import Domain
from ..validation._arguments import refuse_unknown
from ._tasks import (
    COLUMNS,
    ROWS,
    SINGLE,
    TaskLabels,
    find_codes,
    find_task_classes,
    read_labels,
)

# The arguments of `fit`, for the message on any other.
OF_FIT = ("X", "y", "task", "sample_weight")


class TaskMixin:
    """Learns one or more tasks; stands before the base of an estimator.

    Attributes
    ----------
    tasks_ : ndarray of shape (n_tasks,)
        Names of the tasks.
    task_layout_ : {"single", "columns", "rows"}
        How labels were given.
    """

    __metadata_request__fit: ClassVar = {"task": True}
    __metadata_request__predict: ClassVar = {"task": True}
    __metadata_request__score: ClassVar = {"task": True}

    tasks_: np.ndarray
    task_layout_: str

    # What the estimator says: the data checked, by `check_tasks` with rows of its kind;
    _check_tasks: Callable[[Any, Any, Any, Any], tuple[Domain, TaskLabels]]
    # the fitted attributes set;
    _fit_tasks: Callable[[Domain, TaskLabels], None]
    # checked rows to predict for, or what all tasks compute of them alike;
    _shared_rows: Callable[[Any], Any]
    # and of such rows and a task's number the values (n,), or the probabilities of its classes.
    _answer: Callable[[Any, int], np.ndarray]

    def fit(self, X, y, task=None, sample_weight=None, **unknown: Never) -> Self:
        """Fit all tasks together.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows.
        y : array-like of shape (n_rows,) or (n_rows, n_tasks)
            One label for each row, or one for each row and task: None, NaN, ``pandas.NA`` or
            masked where one is not known.
        task : array-like of shape (n_rows,), default=None
            The task of each row, numbers or strings, where `y` has one label for each row.
            Without it such labels are of a single task, of which a warning tells.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows.
        **unknown : never
            Any other name is refused, such as `X_target`: a target with labels is a task.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            For parameters or data that cannot be used, with what is wanted instead.
        """
        refuse_unknown(unknown, OF_FIT, self)
        fitted = self._begin_fit()  # type: ignore[attr-defined]
        source, labels = fitted._check_tasks(X, y, task, sample_weight)
        fitted.tasks_, fitted.task_layout_ = labels.names, labels.layout
        fitted._fit_tasks(source, labels)
        return self._end_fit(fitted)  # type: ignore[attr-defined]

    def _answers(self, X, task) -> list[tuple[int, np.ndarray, np.ndarray]]:
        """Return the number, the rows and the answers of each task that is asked for."""
        check_is_fitted(self)
        rows = self._shared_rows(X)
        n_rows = rows.shape[0]
        codes = find_codes(self, task, n_rows)
        if codes is None:
            every = np.arange(n_rows)
            return [(code, every, self._answer(rows, code)) for code in range(len(self.tasks_))]
        return [
            (code, of_task, self._answer(rows[of_task], code))
            for code in np.unique(codes).tolist()
            for of_task in [np.flatnonzero(codes == code)]
        ]

    def score(self, X, y, task=None, sample_weight=None) -> float:
        """Return the mean over tasks of the score: accuracy, or R^2.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows.
        y : array-like of shape (n_rows,) or (n_rows, n_tasks)
            Labels as for `fit`; missing ones are not scored.
        task : array-like of shape (n_rows,), default=None
            The task of each row, where `fit` got it.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows within a task.

        Returns
        -------
        float
            For a single task, its score. R^2 is undefined for tasks whose values in `y` are
            all alike, or a single one: these are left out of the mean.
        """
        scores = self._scores(X, y, task, sample_weight)
        if np.isnan(list(scores.values())).all():
            raise ValueError(
                "y has no task with two values that differ, so no R^2. Score more rows of each "
                "task, or pass predict's answers to a metric of your own."
            )
        return float(np.nanmean(list(scores.values())))

    def _scores(self, X, y, task=None, sample_weight=None) -> dict[Any, float]:
        """Return the score of each task that `y` holds labels of, by its name."""
        answers = self.predict(X) if task is None else self.predict(X, task=task)
        labels = read_labels(self, y, task, len(answers))
        if labels.layout != self.task_layout_ or (
            labels.codes is None and len(labels.names) != len(self.tasks_)
        ):
            wanted = {
                SINGLE: "one label for each row, y of shape (n_rows,)",
                ROWS: "one label for each row, and task",
                COLUMNS: f"a column for each of the {len(self.tasks_)} tasks",
            }[self.task_layout_]
            raise ValueError(
                f"y has shape {labels.y.shape}, but {type(self).__name__} was fitted on {wanted}. "
                "Give labels here as to fit."
            )
        weights = None if sample_weight is None else np.asarray(sample_weight)
        scores = {}
        for code, name in enumerate(labels.names.tolist()):
            rows = labels.rows_of(code)
            if len(rows):
                said = answers[rows] if labels.codes is not None else answers[rows, code]
                # Of columns with texts beside numbers each is of its own type.
                said = np.array(said.tolist()) if said.dtype == object else said
                of_rows = None if weights is None else weights[rows]
                scores[name] = self._score_of(labels.labels_of(code), said, of_rows)
        return scores

    @abstractmethod
    def predict(self, X, task=None) -> np.ndarray:
        """Predict for each row."""

    @abstractmethod
    def _score_of(self, y, answers, sample_weight) -> float:
        """Return the score of one task; NaN where it has none."""

    def _fill(self, parts: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """Return what tasks say of their rows as one array."""
        if self.task_layout_ == COLUMNS:
            columns = [answers for _, answers in parts]
            kinds = {column.dtype.kind for column in columns}
            # Texts beside numbers stay what they are.
            return np.column_stack(
                columns if len(kinds) == 1 else [column.astype(object) for column in columns]
            )
        filled = np.concatenate([answers for _, answers in parts])
        filled[np.concatenate([rows for rows, _ in parts])] = filled.copy()
        return filled

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags


class TaskRegressorMixin(TaskMixin, RegressorMixin):
    """Predicts a value of one or more tasks."""

    def predict(self, X, task=None) -> np.ndarray:
        """Predict values.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows.
        task : array-like of shape (n_rows,), default=None
            The task of each row, where `fit` got it.

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, n_tasks)
            Of each row in its task; of all tasks, where `y` had a column for each.
        """
        return self._fill([(rows, answers) for _, rows, answers in self._answers(X, task)])

    def _score_of(self, y, answers, sample_weight) -> float:
        if self.task_layout_ != SINGLE and len(np.unique(y)) < 2:
            return np.nan
        return r2_score(y, answers, sample_weight=sample_weight)


class TaskClassifierMixin(TaskMixin, ClassifierMixin):
    """Tells the classes of one or more tasks apart.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or list of ndarray
        Labels of all tasks, sorted; by columns, those of each.
    task_classes_ : list of ndarray
        Labels of each task.
    """

    __metadata_request__predict_proba: ClassVar = {"task": True}

    classes_: Any
    task_classes_: list[np.ndarray]

    def _set_classes(self, labels: TaskLabels) -> None:
        self.task_classes_ = self.classes_ = find_task_classes(labels)
        if labels.layout != COLUMNS:
            self.classes_ = np.unique(np.concatenate(self.task_classes_))

    def predict(self, X, task=None) -> np.ndarray:
        """Predict the most probable class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows.
        task : array-like of shape (n_rows,), default=None
            The task of each row, where `fit` got it.

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, n_tasks)
            Labels of each row in its task; of all tasks, where `y` had a column for each.
        """
        parts = [
            (rows, self.task_classes_[code][answers.argmax(axis=1)])
            for code, rows, answers in self._answers(X, task)
        ]
        return self._fill(parts)

    def predict_proba(self, X, task=None) -> Any:
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows.
        task : array-like of shape (n_rows,), default=None
            The task of each row, where `fit` got it.

        Returns
        -------
        ndarray of shape (n_rows, n_classes) or list of ndarray
            In the order of ``classes_``; zero for classes that a row's task does not have. By
            columns a list with one array for each task.
        """
        parts = self._answers(X, task)
        if self.task_layout_ == COLUMNS:
            return [answers for _, _, answers in parts]
        spread = []
        for code, rows, answers in parts:
            wide = np.zeros((len(rows), len(self.classes_)))
            wide[:, np.searchsorted(self.classes_, self.task_classes_[code])] = answers
            spread.append((rows, wide))
        return self._fill(spread)

    def _score_of(self, y, answers, sample_weight) -> float:
        return accuracy_score(y, answers, sample_weight=sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
