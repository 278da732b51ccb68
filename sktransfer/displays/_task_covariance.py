"""Which tasks are alike, opposed or strangers."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import squareform
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ._drawing import check_axes, import_pyplot, make_axes

MOST_NAMES = 40
LONG_NAME = 4  # letters


def to_correlation(covariance: np.ndarray) -> np.ndarray:
    """Return ``C_st / sqrt(C_ss C_tt)``; a task without variance has 0 with all but itself."""
    scale = np.sqrt(np.maximum(np.diag(covariance), 0))
    products = np.outer(scale, scale)
    correlation = np.divide(
        covariance, products, out=np.zeros_like(products), where=products > 0
    ).clip(-1, 1)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def cluster_tasks(correlation: np.ndarray) -> np.ndarray:
    """Return an order in which tasks that are alike stand together.

    The leaves of average linkage by the distance ``1 - correlation``, turned so that the
    distances of neighbours have the least sum.
    """
    if len(correlation) < 3:
        return np.arange(len(correlation))
    distances = squareform(1 - (correlation + correlation.T) / 2, checks=False)
    tree = optimal_leaf_ordering(linkage(distances, "average"), distances)
    order: np.ndarray = leaves_list(tree)
    return order


class TaskCovarianceDisplay:
    """The covariance of tasks that was learned, as a heat map of clusters.

    Tasks that are alike stand together, in the order of average linkage by ``1 -
    correlation``. Make one with `from_estimator`.

    Parameters
    ----------
    covariance : ndarray of shape (n_tasks, n_tasks)
        Symmetric, as ``task_covariance_``.
    task_names : list of str
        Names of the tasks.

    Attributes
    ----------
    order_ : ndarray of int of shape (n_tasks,)
        The tasks as they stand from the top down.
    ax_ : Axes
        Where it is drawn.
    figure_ : Figure
        The figure that holds it.
    im_ : AxesImage
        The heat map.

    See Also
    --------
    TaskScoresDisplay : How well each task is predicted.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sktransfer import TaskRelationshipRegressor
    >>> from sktransfer.displays import TaskCovarianceDisplay
    >>> rng = np.random.default_rng(0)
    >>> X, task = rng.normal(size=(120, 3)), np.arange(120) % 4
    >>> y = np.where(task < 2, 1, -1) * X[:, 0]
    >>> reg = TaskRelationshipRegressor().fit(X, y, task=task)
    >>> display = TaskCovarianceDisplay.from_estimator(reg)
    >>> sorted(display.order_[:2].tolist()) in ([0, 1], [2, 3])
    True
    >>> plt.close(display.figure_)
    """

    def __init__(self, *, covariance: Any, task_names: Any) -> None:
        self.covariance = covariance
        self.task_names = task_names

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, normalize: bool = True, ax: Any = None, im_kwargs: Any = None
    ) -> TaskCovarianceDisplay:
        """Draw what a fitted estimator has learned of its tasks.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``task_covariance_`` and ``tasks_``, as `TaskRelationshipRegressor`; or
            a pipeline whose last step is one.
        normalize : bool, default=True
            Whether to draw correlations.
        ax : Axes or None, default=None
            Where to draw; None makes a new figure.
        im_kwargs : dict or None, default=None
            Further arguments of ``Axes.imshow``.

        Returns
        -------
        TaskCovarianceDisplay
            What was drawn.

        Raises
        ------
        TypeError
            For an estimator that learns no covariance of tasks.
        NotFittedError
            Before `fit`.
        """
        check_axes(ax, ["tasks"], cls.__name__)
        last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        check_is_fitted(last)
        if not hasattr(last, "task_covariance_"):
            raise TypeError(
                f"estimator must learn a covariance of tasks, task_covariance_, as "
                f"TaskRelationshipRegressor does; got {last!r:.80}."
            )
        names = list(map(str, last.tasks_.tolist()))
        display = cls(covariance=last.task_covariance_, task_names=names)
        return display.plot(ax, normalize=normalize, im_kwargs=im_kwargs)

    def plot(
        self, ax: Any = None, *, normalize: bool = True, im_kwargs: Any = None
    ) -> TaskCovarianceDisplay:
        """Draw the heat map.

        Parameters
        ----------
        ax : Axes or None, default=None
            Where to draw; None makes a new figure.
        normalize : bool, default=True
            Whether to draw correlations.
        im_kwargs : dict or None, default=None
            Further arguments of ``Axes.imshow``.

        Returns
        -------
        TaskCovarianceDisplay
            This object.
        """
        plt = import_pyplot(type(self).__name__)
        n_tasks = len(self.task_names)
        side = 4.0 + 0.2 * min(n_tasks, MOST_NAMES)
        (self.ax_,) = make_axes(ax, ["tasks"], type(self).__name__, size=(side + 0.8, side))
        self.figure_ = self.ax_.figure
        covariance = np.asarray(self.covariance, dtype=float)
        correlation = to_correlation(covariance)
        self.order_ = cluster_tasks(correlation)
        shown = correlation if normalize else covariance
        most = 1.0 if normalize else (np.abs(covariance).max() or 1.0)
        look = {"cmap": "RdBu_r", "vmin": -most, "vmax": most} | (im_kwargs or {})
        self.im_ = self.ax_.imshow(shown[np.ix_(self.order_, self.order_)], **look)
        name = "correlation" if normalize else "covariance"
        self.figure_.colorbar(self.im_, ax=self.ax_, label=name, fraction=0.046)
        self._name_tasks(plt)
        self.ax_.set(title=f"{name} of the tasks")
        return self

    def _name_tasks(self, plt: Any) -> None:
        names = [self.task_names[code] for code in self.order_]
        if len(names) > MOST_NAMES:
            self.ax_.set(xticks=[], yticks=[], xlabel=f"{len(names)} tasks")
            return
        self.ax_.set_yticks(range(len(names)), names)
        self.ax_.set_xticks(range(len(names)), names)
        if max(map(len, names)) > LONG_NAME:
            leaning = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
            plt.setp(self.ax_.get_xticklabels(), **leaning)
