"""Several tasks learned by one network."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.special import softmax

from .._docs import with_shared_docs
from .._task import Task
from ..data._domain import Domain
from ..deep._parameters import parameters
from ..validation._constraints import StrOptions
from ._answers import TaskClassifierMixin, TaskRegressorMixin
from ._deep import BaseTaskNetwork, fill_columns
from ._several import SeveralClassifications, SeveralRegressions
from ._tasks import COLUMNS, TaskLabels


@with_shared_docs
# `fit` takes tasks, and no target.
class MultiTaskClassifier(TaskClassifierMixin, BaseTaskNetwork):  # type: ignore[misc]
    """One network for several tasks, of which each has classes of its own.

    The body is shared, so that what one task teaches of the rows serves all; a head for each
    task decides among its classes. {tasks_of_networks} Tasks that have a class in common have
    all classes in common. Source and target with few labels are two tasks, of which
    `sample_weight` says how much each counts.

    {task_weighting}

    The loss is the cross-entropy.

    Parameters
    ----------
    {task_network_parameters}
    {optimizer_parameters}
    {task_network_training}
    {training_parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or list of ndarray
        Labels of all tasks, sorted; where `y` had columns, those of each.
    task_classes_ : list of ndarray
        Labels of each task.
    {task_network_attributes}
    {fitted_attributes}

    Raises
    ------
    ValueError
        For ``weighting="gradnorm"`` and a body without weights.

    See Also
    --------
    TaskRelationshipClassifier : Linear, and tells which tasks are alike.

    {task_network_references}

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.multitask import MultiTaskClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 4))
    >>> shape = np.where(X[:, 0] * X[:, 1] > 0, "round", "flat")
    >>> size = np.where(X[:, 0] > 0, "large", "small").astype(object)
    >>> size[50:] = None  # known of some
    >>> clf = MultiTaskClassifier(max_epochs=60, random_state=0)
    >>> clf = clf.fit(X, np.column_stack([shape, size]))
    >>> clf.predict(X[:3]).shape
    (3, 2)
    >>> [probabilities.shape for probabilities in clf.predict_proba(X)]
    [(200, 2), (200, 2)]
    """

    def _encode_labels(self, labels: TaskLabels) -> np.ndarray:
        self._set_classes(labels)
        return fill_columns(labels, lambda code, y: np.searchsorted(self.task_classes_[code], y))

    def _task_of(self, domain: Domain, name: str) -> SeveralClassifications:
        return SeveralClassifications(self.task_classes_)

    def _set_task(self, task: Task) -> None:
        pass  # the classes were noted before

    def _fitted_task(self) -> SeveralClassifications:
        return SeveralClassifications(self.task_classes_)

    def _sizes(self) -> list[int]:
        return [len(classes) for classes in self.task_classes_]

    def _kinds(self) -> list[Any]:
        return [tuple(classes.tolist()) for classes in self.task_classes_]

    def _deviance(self) -> float:
        return self._fitted_task().deviance

    def _answer(self, rows: np.ndarray, code: int) -> np.ndarray:
        probabilities: np.ndarray = softmax(self._outputs_of(rows, code), axis=1)
        return probabilities


@with_shared_docs
@parameters
class MultiTaskRegressor(TaskRegressorMixin, BaseTaskNetwork):  # type: ignore[misc]
    """One network for several tasks, of which each is to predict a number.

    The body is shared, so that what one task teaches of the rows serves all; a head for each
    task makes a number of it. {tasks_of_networks}

    {task_weighting}

    Labels are standardised: each column by its own mean and spread, rows of tasks by `task` by
    those of all. {loss_of_task_networks}

    Parameters
    ----------
    {task_network_parameters}
    {loss_parameter}
    {optimizer_parameters}
    {task_network_training}
    {training_parameters}

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (n_tasks,)
        Mean and standard deviation of the labels, weighted where their rows are: training is on
        ``(y - y_mean_) / y_scale_``, and `predict` undoes it.
    {task_network_attributes}
    {fitted_attributes}

    Raises
    ------
    ValueError
        For ``weighting="gradnorm"`` and a body without weights.

    See Also
    --------
    MeanRegularizedRegressor : Linear, in closed form.

    {task_network_references}

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.multitask import MultiTaskRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, school = rng.normal(size=(400, 4)), np.arange(400) % 20
    >>> y = np.abs(X[:, 0]) + 0.1 * school + 0.1 * rng.normal(size=400)
    >>> reg = MultiTaskRegressor(max_epochs=60, random_state=0).fit(X, y, task=school)
    >>> bool(reg.score(X, y, task=school) > 0.7)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "loss": [StrOptions({"squared_error", "huber"})],
    }

    loss: str = "squared_error"

    def _encode_labels(self, labels: TaskLabels) -> np.ndarray:
        return fill_columns(labels, lambda code, y: y)

    def _task_of(self, domain: Domain, name: str) -> SeveralRegressions:
        return SeveralRegressions.of_values(
            domain.labels,
            domain.sample_weight,
            self.loss,
            of_one_kind=self.task_layout_ != COLUMNS,
        )

    def _set_task(self, task: Task) -> None:
        assert isinstance(task, SeveralRegressions)
        self.y_mean_, self.y_scale_ = task.mean, task.scale

    def _fitted_task(self) -> SeveralRegressions:
        return SeveralRegressions(self.y_mean_, self.y_scale_, self.loss)

    def _sizes(self) -> list[int]:
        return [1] * len(self.tasks_)

    def _kinds(self) -> list[Any]:
        return self._sizes()

    def _deviance(self) -> float:
        return 0.5 if self.loss == "squared_error" else 1.0

    def _answer(self, rows: np.ndarray, code: int) -> np.ndarray:
        outputs = self._outputs_of(rows, code)[:, 0]
        answers: np.ndarray = outputs * self.y_scale_[code] + self.y_mean_[code]
        return answers
