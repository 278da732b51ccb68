"""Tasks whose relations are learned with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone

from .._docs import BLOCKS, with_shared_docs
from ..data._domain import Domain
from ..validation._constraints import Integral, Interval, Real, StrOptions
from ._base import POSITIVE, BaseLinearTaskClassifier, BaseLinearTaskRegressor, Solve
from ._strengths import STRENGTHS, best_strength, folds_of_tasks, mean_variance
from ._tasks import TaskLabels

EPSILON = 1e-3  # of the mean variance of tasks, added to each in the end; in the first round all
DECAY = 0.7  # of what is added, from round to round: too little too soon, and directions that the
# first coefficients do not have are never found

# In which each strength is tried.
N_FOLDS = 5

BLOCKS["task_relationship_parameters"] = """\
strength : "auto" or float, default={strength}
    Of the penalty that relates the tasks. It is relative to the mean loss and to the features'
    variances, however many labels there are: on standardised features 1 halves the coefficients
    of tasks that have nothing in common, which is right for few labels or much noise, and too much
    for others. "auto" takes the best of 13, from 1e-3 to 1e3 times the mean variance of a
    feature, by the loss on a fifth of each task's rows, held out in turn; it takes some forty
    fits.
ridge_strength : float, default=0.0
    Of a penalty on each task by itself besides.
mean_strength : float, default=infinity
    Infinity is the published method. A finite one gives the tasks a mean ``w_0``, drawn to zero
    with this strength, and ``w_t - w_0`` stand in the formula for ``w_t``: many tasks that are much
    alike share it at a small price, and the covariance is that of what is left."""

BLOCKS["task_relationship_attributes"] = """\
strength_ : float
    What was given or chosen; infinity where there was a single row.
task_covariance_ : ndarray of shape (n_tasks, n_tasks)
    The formula's ``Omega``, of trace 1.
n_iter_ : int
    Rounds, in each of which the coefficients and the covariance are computed anew."""

BLOCKS["task_relationship_references"] = """\
References
----------
Zhang and Yeung, "A convex formulation for learning task relationships in multi-task learning",
UAI 2010, eq. 8 and 14. There the losses of a task are divided by its rows, here by all."""


def covariance_of_tasks(W: np.ndarray) -> np.ndarray:
    """Return ``Omega = (W'W)^(1/2) / tr (W'W)^(1/2)``, of equal tasks where ``W`` is zero."""
    values, vectors = np.linalg.eigh(W.T @ W)
    roots = np.sqrt(np.maximum(values, 0))
    if roots.sum() <= np.finfo(float).tiny:
        roots = np.ones_like(roots)
    return (vectors * (roots / roots.sum())) @ vectors.T


def prior_covariance(
    covariance: np.ndarray, strength: float, ridge: float, added: float
) -> np.ndarray:
    """Return ``A = (ridge/T I + strength/T^2 (Omega + added/T I)^-1)^-1``."""
    n_tasks = len(covariance)
    if np.isinf(strength) or np.isinf(ridge):
        return np.zeros_like(covariance)
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 0) + added / n_tasks
    return (vectors / (ridge / n_tasks + strength / n_tasks**2 / values)) @ vectors.T


class TaskRelationshipMixin:
    """Alternates between the tasks' coefficients and their covariance."""

    _parameter_constraints: ClassVar = {
        "strength": [StrOptions({"auto"}), *POSITIVE],
        "ridge_strength": [Interval(Real, 0, np.inf, closed="both")],
        "mean_strength": POSITIVE,
        "shrink_intercept": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    strength: Any
    strength_: float
    ridge_strength: float
    mean_strength: float
    max_iter: int
    tol: float
    task_covariance_: np.ndarray
    n_iter_: int

    def _fit_tasks(self, source: Domain, labels: TaskLabels) -> None:
        chosen = self.strength
        if self.strength == "auto":
            chosen = self._choose_strength(source, labels)
        self.strength_ = float(chosen)
        super()._fit_tasks(source, labels)  # type: ignore[misc]

    def _choose_strength(self, source: Domain, labels: TaskLabels) -> float:
        """Return that of the least loss on rows held out."""
        weights = np.ones(len(source)) if source.sample_weight is None else source.sample_weight
        folds = folds_of_tasks(source.X, labels.groups(), weights, N_FOLDS)
        parts = [folds == fold for fold in range(folds.max() + 1)]
        if len(parts) < 2:  # a single row: nothing to choose by
            return np.inf

        def loss_of(strength: float) -> float:
            loss = 0.0
            for held_out in parts:
                rest = replace(source, sample_weight=np.where(held_out, 0.0, weights))
                trial = clone(self).set_params(strength=strength)
                trial._fit_tasks(rest, labels)
                loss += trial._held_out_loss(source, labels, held_out)
            return loss

        return best_strength(STRENGTHS * mean_variance(source.X, weights), loss_of)

    def _relate(self, solve: Solve, n_tasks: int) -> np.ndarray:
        covariance, W = np.eye(n_tasks) / n_tasks, None
        self.n_iter_, change, added = 0, np.inf, 0.0
        while self.n_iter_ < self.max_iter and (change > self.tol or added > EPSILON):
            prior = prior_covariance(covariance, self.strength_, self.ridge_strength, added)
            whole = prior + 1 / self.mean_strength
            W = solve(whole, W)
            # Of the sum of two normal parts, what the first is likely to be.
            deviations = W @ np.linalg.pinv(whole, hermitian=True) @ prior
            before, covariance = covariance, covariance_of_tasks(deviations)
            change = float(np.linalg.norm(covariance - before) / np.linalg.norm(covariance))
            self.n_iter_ += 1
            added = max(DECAY**self.n_iter_, EPSILON)
        self.task_covariance_ = covariance
        return np.asarray(W)


@with_shared_docs
class TaskRelationshipRegressor(TaskRelationshipMixin, BaseLinearTaskRegressor):
    """Linear regression of several tasks, which learns how they are related (MTRL).

    The covariance of the tasks is learned with their coefficients, the columns of ``W``: tasks that
    are alike help each other, opposed ones do so with the other sign, and strangers are left
    alone::

        min_{W, b, Omega}  1/n sum_i (y_i - x_i'w_{t(i)} - b_{t(i)})^2 + ridge_strength/T ||W||^2
                           + strength/T^2 tr(W Omega^-1 W'),   Omega >= 0, tr Omega = 1

    for ``n`` labels of ``T`` tasks (`sample_weight` weighs them). Given ``Omega``, ``W`` solves a
    linear system; given ``W``, ``Omega = (W'W)^(1/2) / tr (W'W)^(1/2)``; rounds go on until it
    settles.
    {tasks_of_linear_models}

    Parameters
    ----------
    {task_relationship_parameters}
    shrink_intercept : bool, default=False
        Relate the intercepts, too, as one coefficient more, with the mean of all values as their
        zero. False lets each task's rows alone decide.
    max_iter : int, default=30
        Most rounds.
    tol : float, default=1e-3
        Change of the covariance, relative to its size (Frobenius), that ends them.

    Attributes
    ----------
    coef_ : ndarray of shape (n_tasks, n_features)
        Coefficients ``w_t``.
    intercept_ : ndarray of shape (n_tasks,)
        Intercepts ``b_t``.
    {task_relationship_attributes}
    {attributes_of_linear_tasks}

    See Also
    --------
    MeanRegularizedRegressor : For tasks that are all alike.

    {task_relationship_references}

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.multitask import TaskRelationshipRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, task = rng.normal(size=(60, 5)), np.repeat(["a", "b"], 30)
    >>> y = X @ [1, 2, 3, 2, 1] * np.where(task == "a", 1, -1)  # opposed tasks
    >>> TaskRelationshipRegressor(0.1).fit(X, y, task=task).task_covariance_.round(1)
    array([[ 0.5, -0.5],
           [-0.5,  0.5]])
    """

    def __init__(
        self,
        strength="auto",
        *,
        ridge_strength=0.0,
        mean_strength=np.inf,
        shrink_intercept=False,
        max_iter=30,
        tol=1e-3,
    ):
        self.strength = strength
        self.ridge_strength = ridge_strength
        self.mean_strength = mean_strength
        self.shrink_intercept = shrink_intercept
        self.max_iter = max_iter
        self.tol = tol


@with_shared_docs
class TaskRelationshipClassifier(TaskRelationshipMixin, BaseLinearTaskClassifier):
    """Logistic regression of several tasks, which learns how they are related (MTRL).

    The covariance of the tasks is learned with their coefficients ``W_t``, each a column of ``W``:
    tasks that are alike help each other, opposed ones do so with the other sign, and strangers are
    left alone::

        min_{W, b, Omega}  1/n sum_i -log softmax(W_{t(i)} x_i + b_{t(i)})[y_i]
                           + ridge_strength/T ||W||^2 + strength/T^2 tr(W Omega^-1 W'),
                           Omega >= 0, tr Omega = 1

    for ``n`` labels of ``T`` tasks (`sample_weight` weighs them), the softmax over the classes of
    the task. Given ``W``, ``Omega = (W'W)^(1/2) / tr (W'W)^(1/2)``; rounds go on until it settles.
    {tasks_of_linear_models} Tasks that have a class in common have all classes in common.

    Parameters
    ----------
    {task_relationship_parameters}
    shrink_intercept : bool, default=True
        Relate the intercepts, too, as one coefficient more. False lets each task's rows alone
        decide, of which few say little of the shares of classes.
    max_iter : int, default=30
        Most rounds.
    tol : float, default=1e-3
        Change of the covariance, relative to its size (Frobenius), that ends them.

    Attributes
    ----------
    coef_ : ndarray of shape (n_tasks, n_classes, n_features)
        Coefficients ``W_t``, of all tasks' classes, sorted; without meaning for those that a task
        does not have.
    intercept_ : ndarray of shape (n_tasks, n_classes)
        Intercepts ``b_t``.
    classes_ : ndarray of shape (n_classes,) or list of ndarray
        Labels of all tasks; where `y` had columns, those of each.
    task_classes_ : list of ndarray
        Labels of each task.
    {task_relationship_attributes}
    {attributes_of_linear_tasks}

    See Also
    --------
    MeanRegularizedClassifier : For tasks that are all alike.

    {task_relationship_references}

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.multitask import TaskRelationshipClassifier
    >>> rng = np.random.default_rng(0)
    >>> X, task = rng.normal(size=(60, 5)), np.repeat(["a", "b"], 30)
    >>> y = np.where(X[:, 0] + X[:, 1] > 0, "up", "down")
    >>> y[30:] = np.where(X[30:, 0] + X[30:, 1] > 0, "down", "up")  # the other way round
    >>> clf = TaskRelationshipClassifier(strength=0.1).fit(X, y, task=task)
    >>> bool(clf.task_covariance_[0, 1] < -0.3)
    True
    """

    def __init__(
        self,
        strength=1.0,
        *,
        ridge_strength=0.0,
        mean_strength=np.inf,
        shrink_intercept=True,
        max_iter=30,
        tol=1e-3,
    ):
        self.strength = strength
        self.ridge_strength = ridge_strength
        self.mean_strength = mean_strength
        self.shrink_intercept = shrink_intercept
        self.max_iter = max_iter
        self.tol = tol
