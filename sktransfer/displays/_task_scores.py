"""How well each task is predicted."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ._drawing import BLUE, check_axes, import_pyplot, make_axes

MOST_NAMES = 40


class TaskScoresDisplay:
    """The score of each task, sorted, and their mean.

    Make one with `from_estimator`. Two on the same Axes compare two estimators: draw the second
    with ``order=first.order_``.

    Parameters
    ----------
    scores : ndarray of shape (n_tasks,)
        Of each task, accuracy or R^2; NaN where a task has none.
    task_names : list of str
        Names of the tasks.
    score_name : str
        What the scores are.
    estimator_name : str or None, default=None
        Whose they are, for the legend.

    Attributes
    ----------
    order_ : ndarray of int
        The tasks with a score as they stand from the left, the lowest first.
    ax_ : Axes
        Where it is drawn.
    figure_ : Figure
        The figure that holds it.
    points_ : Line2D
        The scores.
    mean_ : Line2D
        Their mean, a line across.

    See Also
    --------
    TaskCovarianceDisplay : Which tasks are alike.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sktransfer import MeanRegularizedRegressor
    >>> from sktransfer.displays import TaskScoresDisplay
    >>> rng = np.random.default_rng(0)
    >>> X, task = rng.normal(size=(120, 3)), np.arange(120) % 4
    >>> y = X[:, 0] + task * rng.normal(size=120)  # noise from task to task
    >>> reg = MeanRegularizedRegressor().fit(X, y, task=task)
    >>> display = TaskScoresDisplay.from_estimator(reg, X, y, task=task)
    >>> display.order_[-1]
    np.int64(0)
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        scores: Any,
        task_names: Any,
        score_name: str = "score",
        estimator_name: str | None = None,
    ) -> None:
        self.scores = scores
        self.task_names = task_names
        self.score_name = score_name
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        task: Any = None,
        sample_weight: Any = None,
        name: str | None = None,
        order: Any = None,
        ax: Any = None,
        line_kwargs: Any = None,
    ) -> TaskScoresDisplay:
        """Score a fitted estimator task by task, and draw the scores.

        Parameters
        ----------
        estimator : estimator of several tasks
            Fitted; one of `sktransfer.multitask`, or a pipeline whose last step is one.
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows, best held out.
        y : array-like of shape (n_rows,) or (n_rows, n_tasks)
            Labels as for `fit`; missing ones are not scored.
        task : array-like of shape (n_rows,), default=None
            The task of each row, where `fit` got it.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows within a task.
        name : str or None, default=None
            Whose scores these are; None is the class's name.
        order : array-like of int or None, default=None
            Numbers of tasks from the left, ``order_`` of another display. None sorts by score.
        ax : Axes or None, default=None
            Where to draw; None makes a new figure.
        line_kwargs : dict or None, default=None
            Further arguments of ``Axes.plot`` for the points.

        Returns
        -------
        TaskScoresDisplay
            What was drawn.

        Raises
        ------
        TypeError
            For an estimator that knows no tasks.
        NotFittedError
            Before `fit`.
        """
        check_axes(ax, ["tasks"], cls.__name__)
        last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        if not hasattr(last, "_scores") or not hasattr(last, "score"):
            raise TypeError(
                "estimator must be one of several tasks, as MeanRegularizedRegressor or "
                f"MultiTaskClassifier; got {last!r:.80}."
            )
        check_is_fitted(last)
        if last is not estimator:
            X = estimator[:-1].transform(X)
        found = last._scores(X, y, task, sample_weight)
        tasks = last.tasks_.tolist()
        display = cls(
            scores=np.array([found.get(one, np.nan) for one in tasks]),
            task_names=list(map(str, tasks)),
            score_name="accuracy" if is_classifier(last) else "R²",
            estimator_name=type(last).__name__ if name is None else name,
        )
        return display.plot(ax, order=order, line_kwargs=line_kwargs)

    def plot(
        self, ax: Any = None, *, order: Any = None, line_kwargs: Any = None
    ) -> TaskScoresDisplay:
        """Draw the scores.

        Parameters
        ----------
        ax : Axes or None, default=None
            Where to draw; None makes a new figure.
        order : array-like of int or None, default=None
            Numbers of tasks from the left, ``order_`` of another display. None sorts by score.
        line_kwargs : dict or None, default=None
            Further arguments of ``Axes.plot`` for the points.

        Returns
        -------
        TaskScoresDisplay
            This object.
        """
        plt = import_pyplot(type(self).__name__)
        scores = np.asarray(self.scores, dtype=float)
        if order is None:
            order = np.argsort(scores, kind="stable")[: np.isfinite(scores).sum()]
        self.order_ = np.asarray(order, dtype=int)
        width = 4.0 + 0.12 * min(len(self.order_), MOST_NAMES)
        (self.ax_,) = make_axes(ax, ["tasks"], type(self).__name__, size=(width, 4.4))
        self.figure_ = self.ax_.figure
        drawn = len(self.ax_.lines) == 0
        look = {"marker": "o", "ls": "", "ms": 4, "label": self.estimator_name}
        look |= ({"color": BLUE} if drawn else {}) | (line_kwargs or {})
        (self.points_,) = self.ax_.plot(scores[self.order_], **look)
        mean = np.nanmean(scores[self.order_])
        self.mean_ = self.ax_.axhline(mean, color=self.points_.get_color(), lw=1, ls="--")
        names = [self.task_names[code] for code in self.order_]
        if len(names) > MOST_NAMES:
            self.ax_.set(xticks=[], xlabel=f"{len(names)} tasks")
        else:
            self.ax_.set_xticks(range(len(names)), names)
            self.ax_.set_xlabel("task")
            if max(map(len, names)) > 2:
                leaning = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
                plt.setp(self.ax_.get_xticklabels(), **leaning)
        self.ax_.set(ylabel=self.score_name, title="score of each task (mean dashed)")
        if self.estimator_name is not None:
            self.ax_.legend(loc="lower right")
        return self
