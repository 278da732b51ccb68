"""Tasks that deviate from a shared mean."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from .._docs import BLOCKS, with_shared_docs
from ._base import POSITIVE, BaseLinearTaskClassifier, BaseLinearTaskRegressor, Solve

BLOCKS["mean_regularized_strengths"] = """\
strength : float, default=1.0
    Draws each task to the mean. Infinity is one model for all tasks (but for intercepts that
    are not drawn), a small one each task by itself.
mean_strength : float, default=0.01
    Draws the mean to zero. Infinity is ridge or logistic regression of each task alone."""

BLOCKS["mean_regularized_references"] = """\
References
----------
Evgeniou and Pontil, "Regularized multi-task learning", KDD 2004, eq. 2 (there with the hinge
loss)."""


def mean_covariance(n_tasks: int, strength: float, mean_strength: float) -> np.ndarray:
    """Return ``A = T / strength I + 1 / mean_strength 11'``, the tasks' prior covariance.

    It is what is left of ``min_{w_0} strength/T sum_t ||w_t - w_0||^2 + mean_strength ||w_0||^2``,
    ``tr(W A^-1 W')``.
    """
    return n_tasks / strength * np.eye(n_tasks) + 1 / mean_strength


class MeanRegularizedMixin:
    """Draws the coefficients of tasks to their mean."""

    _parameter_constraints: ClassVar = {
        "strength": POSITIVE,
        "mean_strength": POSITIVE,
        "shrink_intercept": ["boolean"],
    }

    strength: float
    mean_strength: float
    shrink_intercept: bool
    n_features_in_: int
    mean_coef_: np.ndarray

    def _relate(self, solve: Solve, n_tasks: int) -> np.ndarray:
        W = solve(mean_covariance(n_tasks, self.strength, self.mean_strength))
        # The w_0 of least penalty, given W; without its share of tasks that are one model.
        ratio = 0.0 if np.isinf(self.strength) else self.mean_strength / self.strength
        mean = W.mean(axis=1) / (1 + ratio)
        self.mean_coef_ = mean.reshape(-1, self.n_features_in_ + self.shrink_intercept)
        self.mean_coef_ = self.mean_coef_[:, : self.n_features_in_].copy()
        return W


@with_shared_docs
class MeanRegularizedRegressor(MeanRegularizedMixin, BaseLinearTaskRegressor):
    """Linear regression of several tasks whose coefficients deviate from a shared mean.

    Each task has coefficients ``w_t = w_0 + v_t``: what all have in common is learned from all
    rows, and a task of few rows departs from it little::

        min_{w, b, w_0}  1/n sum_i (y_i - x_i'w_{t(i)} - b_{t(i)})^2
                         + strength/T sum_t ||w_t - w_0||^2 + mean_strength ||w_0||^2

    for ``n`` labels of ``T`` tasks (`sample_weight` weighs them). {tasks_of_linear_models}

    Parameters
    ----------
    {mean_regularized_strengths}
    shrink_intercept : bool, default=False
        Draw the intercepts, too, as one coefficient more, with the mean of all values as their
        zero. False lets each task's rows alone decide.

    Attributes
    ----------
    coef_ : ndarray of shape (n_tasks, n_features)
        Coefficients ``w_t``.
    intercept_ : ndarray of shape (n_tasks,)
        Intercepts ``b_t``.
    mean_coef_ : ndarray of shape (1, n_features)
        The mean ``w_0``.
    {attributes_of_linear_tasks}

    See Also
    --------
    TaskRelationshipRegressor : Learns which tasks are alike, and which opposed.

    {mean_regularized_references}

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.multitask import MeanRegularizedRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, task = rng.normal(size=(200, 5)), np.repeat(np.arange(20), 10)
    >>> W = 1 + 0.1 * rng.normal(size=(20, 5))
    >>> y = (X * W[task]).sum(axis=1) + rng.normal(size=200)
    >>> related = MeanRegularizedRegressor(strength=1.0).fit(X, y, task=task)
    >>> alone = MeanRegularizedRegressor(strength=1.0, mean_strength=np.inf).fit(X, y, task=task)
    >>> bool(abs(related.coef_ - W).mean() < 0.5 * abs(alone.coef_ - W).mean())
    True
    """

    def __init__(self, strength=1.0, *, mean_strength=0.01, shrink_intercept=False):
        self.strength = strength
        self.mean_strength = mean_strength
        self.shrink_intercept = shrink_intercept


@with_shared_docs
class MeanRegularizedClassifier(MeanRegularizedMixin, BaseLinearTaskClassifier):
    """Logistic regression of several tasks whose coefficients deviate from a shared mean.

    Each task has coefficients ``W_t = W_0 + V_t``, a row for each class: what all have in common is
    learned from all rows, and a task of few rows departs from it little::

        min_{W, b, W_0}  1/n sum_i -log softmax(W_{t(i)} x_i + b_{t(i)})[y_i]
                         + strength/T sum_t ||W_t - W_0||^2 + mean_strength ||W_0||^2

    for ``n`` labels of ``T`` tasks (`sample_weight` weighs them), the softmax over the classes of
    the task. {tasks_of_linear_models} Tasks that have a class in common have all classes in common.

    Parameters
    ----------
    {mean_regularized_strengths}
    shrink_intercept : bool, default=True
        Draw the intercepts, too, as one coefficient more. False lets each task's rows alone
        decide, of which few say little of the shares of classes.

    Attributes
    ----------
    coef_ : ndarray of shape (n_tasks, n_classes, n_features)
        Coefficients ``W_t``, of all tasks' classes, sorted; without meaning for those that a task
        does not have.
    intercept_ : ndarray of shape (n_tasks, n_classes)
        Intercepts ``b_t``.
    mean_coef_ : ndarray of shape (n_classes, n_features)
        The mean ``W_0``.
    classes_ : ndarray of shape (n_classes,) or list of ndarray
        Labels of all tasks; where `y` had columns, those of each.
    task_classes_ : list of ndarray
        Labels of each task.
    {attributes_of_linear_tasks}

    See Also
    --------
    TaskRelationshipClassifier : Learns which tasks are alike, and which opposed.

    {mean_regularized_references}

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.multitask import MeanRegularizedClassifier
    >>> rng = np.random.default_rng(0)
    >>> X, task = rng.normal(size=(200, 5)), np.repeat(np.arange(20), 10)
    >>> y = (X * (1 + 0.1 * rng.normal(size=(20, 5)))[task]).sum(axis=1) > 0
    >>> clf = MeanRegularizedClassifier(strength=0.1).fit(X[::2], y[::2], task=task[::2])
    >>> bool(clf.score(X[1::2], y[1::2], task=task[1::2]) > 0.8)
    True
    """

    def __init__(self, strength=1.0, *, mean_strength=0.01, shrink_intercept=True):
        self.strength = strength
        self.mean_strength = mean_strength
        self.shrink_intercept = shrink_intercept
