"""Labels in several tasks: a column for each, or one label a row and the row's task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from .._warning import warn
from ..data._domain import Domain
from ..validation._arrays import as_array, check_same_length
from ..validation._domains import ArrayRows, check_domains, check_labelled_rows
from ..validation._naming import named
from ..validation._target_labels import find_missing, warn_of_words_for_none

SINGLE, COLUMNS, ROWS = "single", "columns", "rows"


@dataclass(frozen=True, slots=True)
class TaskLabels:
    """Labels of rows in one or more tasks, whichever way they were given.

    Parameters
    ----------
    names : ndarray of shape (n_tasks,)
        Of the tasks: column names or numbers, or the sorted values of `task`.
    y : ndarray of shape (n_rows,), or of shape (n_rows, n_tasks) by columns
        What stands where there is no label means nothing.
    codes : ndarray of int of shape (n_rows,) or None
        The number of each row's task; None by columns.
    has_label : ndarray of bool of shape (n_rows, n_tasks) or None
        Which labels there are; None for all.
    layout : {"single", "columns", "rows"}
        How they were given: `y` alone, with a column a task, with `task`.
    """

    names: np.ndarray
    y: np.ndarray
    codes: np.ndarray | None
    has_label: np.ndarray | None
    layout: str

    def groups(self) -> np.ndarray:
        """Return numbers, alike for rows that have labels in the same tasks, shape (n_rows,)."""
        if self.codes is not None:
            return self.codes
        if self.has_label is None:
            return np.zeros(len(self.y), dtype=int)
        _, groups = np.unique(~self.has_label, axis=0, return_inverse=True)
        return groups.ravel()

    def rows_of(self, code: int) -> np.ndarray:
        """Return the numbers of the rows that have a label in a task."""
        if self.codes is not None:
            return np.flatnonzero(self.codes == code)
        if self.has_label is None:
            return np.arange(len(self.y))
        return np.flatnonzero(self.has_label[:, code])

    def labels_of(self, code: int) -> np.ndarray:
        """Return the labels of these rows."""
        rows = self.rows_of(code)
        if self.codes is not None:
            return self.y[rows]
        labels = self.y[rows, code]
        return np.array(labels.tolist()) if labels.dtype == object else labels


def check_tasks(
    estimator,
    X,
    y,
    task=None,
    sample_weight=None,
    *,
    rows: ArrayRows | None = None,
    dtype: Any = "numeric",
) -> tuple[Domain, TaskLabels]:
    """Check what `fit` was given of one or more tasks.

    Sets ``n_features_in_`` and ``feature_names_in_`` of `estimator`. The rows are those of
    `check_domains`, with labels where there is one for each row.

    Warns where there is one task because nothing was said of more.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what is wanted.
    """
    if y is None or np.asarray(as_array(y, "y")).ndim < 2:
        source = check_domains(
            estimator, X, y, sample_weight=sample_weight, rows=rows, dtype=dtype
        ).source
    else:
        source = check_labelled_rows(estimator, X, sample_weight, rows=rows, dtype=dtype)
    labels = read_labels(estimator, source.y if source.y is not None else y, task, len(source))
    for code, name in enumerate(labels.names.tolist()):
        if not len(labels.rows_of(code)):
            raise ValueError(
                f"y has no label in its column {name!r}: nothing can be learned of this task. "
                "Leave the column out."
            )
        if get_tags(estimator).estimator_type == "classifier":
            with named("y"):
                check_classification_targets(labels.labels_of(code))
    if labels.layout == SINGLE:
        warn(
            f"{type(estimator).__name__} was fitted without task and with one label for each row: "
            "all rows are of one task, and nothing is shared. Give the task of each row, "
            "fit(X, y, task=task), or y with a column for each task (a single one, of shape "
            "(n_rows, 1), if one task is meant)."
        )
    return source, labels


def read_labels(estimator, y, task, n_rows: int) -> TaskLabels:
    """Return labels of so many rows, by column or by `task`.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what is wanted.
    """
    y = as_array(y, "y")
    values = np.ma.asarray(y) if isinstance(y, np.ma.MaskedArray) else np.asarray(y)
    check_same_length(n_rows, "X", values, "y")
    if values.ndim == 2 and task is None:
        return _labels_by_column(estimator, y, values)
    if values.ndim == 2 and values.shape[1] > 1:
        raise ValueError(
            f"y has shape {values.shape} and task was given as well. Give a column of y for each "
            "task and no task, or one label for each row, y of shape (n_rows,), and its task."
        )
    with named("y"):
        values = column_or_1d(values)
    if task is None:
        return TaskLabels(np.array([0]), values, np.zeros(n_rows, dtype=int), None, SINGLE)
    names, codes = np.unique(check_task_names(task, n_rows), return_inverse=True)
    return TaskLabels(names, values, codes.ravel(), None, ROWS)


def check_task_names(task, n_rows: int) -> np.ndarray:
    """Return the name of each row's task.

    Raises
    ------
    ValueError, TypeError
        Where there is not one for each row.
    """
    task = as_array(task, "task")
    check_same_length(n_rows, "X", task, "task")
    with named("task"):
        missing = find_missing(task)
        names = column_or_1d(task)
    if missing.any():
        raise ValueError(
            f"task is missing for {missing.sum()} of {n_rows} rows; give each row's task, or leave "
            "these rows out."
        )
    return np.array(names.tolist()) if names.dtype == object else names


def find_codes(estimator, task, n_rows: int) -> np.ndarray | None:
    """Return the number of each row's task; None by columns.

    Raises
    ------
    ValueError
        Where `task` is not given as it was to `fit`, and for tasks that `fit` did not see.
    """
    name = type(estimator).__name__
    if estimator.task_layout_ != ROWS:
        if task is not None:
            raise ValueError(
                f"task was given, but {name} was fitted without: "
                + (
                    "it answers for all tasks at once, a column for each. Leave task out."
                    if estimator.task_layout_ == COLUMNS
                    else "it knows a single task. Give task to fit as well, or leave it out."
                )
            )
        return None if estimator.task_layout_ == COLUMNS else np.zeros(n_rows, dtype=int)
    if task is None:
        raise ValueError(
            f"{name} was fitted with task, and needs the task of each row here, too: "
            "predict(X, task=task). In a search or a pipeline it gets there by itself once "
            "sklearn.set_config(enable_metadata_routing=True) is called."
        )
    names = check_task_names(task, n_rows)
    known = np.isin(names, estimator.tasks_)
    if not known.all():
        unknown = np.unique(names[~known])
        raise ValueError(
            f"task holds {unknown[:10].tolist()}, which fit did not see; it knows "
            f"{len(estimator.tasks_)} tasks, such as {estimator.tasks_[:5].tolist()}. In a search, "
            "cv=[*StratifiedKFold().split(X, task)] leaves rows of each task in every fold."
        )
    return np.searchsorted(estimator.tasks_, names)


def _labels_by_column(estimator, y, values: np.ndarray) -> TaskLabels:
    names = np.array(y.columns) if hasattr(y, "columns") else np.arange(values.shape[1])
    has_label = np.logical_not(find_missing(values))
    values = np.ma.getdata(values)
    if get_tags(estimator).estimator_type == "regressor":
        with named("y"):
            values = np.where(has_label, values, 0.0).astype(np.float64)
        if not np.isfinite(values).all():
            raise ValueError(
                "y contains infinity; give finite values, and NaN where none is known."
            )
    elif values.dtype.kind in "OU":
        warn_of_words_for_none("y", values)
    return TaskLabels(names, values, None, None if has_label.all() else has_label, COLUMNS)


def find_task_classes(labels: TaskLabels) -> list[np.ndarray]:
    """Return the sorted classes of each task.

    By column they are those that the column shows. By rows, tasks that have a class in common
    have all classes in common: one with few rows need not show each.

    Raises
    ------
    ValueError
        Where no task has two classes.
    """
    shown = [np.unique(labels.labels_of(code)) for code in range(len(labels.names))]
    if labels.layout != COLUMNS:
        groups: list[set[Any]] = []
        for classes in shown:
            group = set(classes.tolist())
            apart = [other for other in groups if not other & group]
            groups = [*apart, group.union(*(other for other in groups if other & group))]
        joint = [np.array(sorted(group), dtype=labels.y.dtype) for group in groups]
        shown = [next(g for g in joint if np.isin(classes[0], g)) for classes in shown]
    if max(map(len, shown)) < 2:
        every = sorted({classes.tolist()[0] for classes in shown}, key=str)
        if len(every) > 1:
            raise ValueError(
                f"y holds one class in each task, {every[0]!r} in some and {every[1]!r} in others: "
                "nothing says which classes are to be told apart. Give rows of two classes of at "
                "least one task."
            )
        raise ValueError(
            f"y holds one class, {shown[0].tolist()[0]!r}; a classifier needs at least 2 classes. "
            "With 1 class there is nothing to tell apart."
        )
    return shown
