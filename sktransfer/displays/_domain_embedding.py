"""The features of both domains in the plane."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.multiclass import unique_labels

from ..validation._arguments import check_random_state
from ..validation._measured import looks_measured
from ..validation._naming import named
from ._drawing import SOURCE, TARGET, check_axes, import_pyplot, make_axes, make_class_colors
from ._embedding import check_choices, check_transforms, draw_rows, embed_domains


class Domain(NamedTuple):
    """How a domain looks."""

    name: str
    color: str
    marker: str


DOMAINS = (Domain("source", SOURCE, "o"), Domain("target", TARGET, "x"))
UNLABELLED = "#C8C8C8"
LEGEND_ROWS = 14


class DomainEmbeddingDisplay:
    """The features of source and target, embedded in the plane together.

    Where adaptation has worked, the domains lie upon each other and the classes
    apart. Each estimator has panels of its own: by domain and, where there are
    labels, by class. Rows without a label are grey in the latter, since classes
    predicted for them would look right in any case. Make one with
    `from_estimator`.

    Parameters
    ----------
    source_points, target_points : dict of str to ndarray of shape (n_rows, 2)
        The rows of each domain in the plane, by the title of the estimator.
    y_source, y_target : ndarray of shape (n_rows,) or None, default=None
        Labels of the rows drawn; None or nan for a row without one.
    source_rows, target_rows : ndarray of shape (n_rows,) or None, default=None
        Which rows of `X_source` and `X_target` are drawn.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, in the order of the legend.
    axes_ : ndarray of shape (n_estimators, 1 or 2)
        The Axes: a row for each estimator, by domain and by class.
    figure_ : Figure
        The figure that holds them.
    legend_ : Legend
        What explains domains and classes, beside the first row.
    scatters_ : ndarray of shape (n_estimators, 1 or 2, 2)
        The points of source and target in each of the Axes, PathCollections.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sktransfer import DANNClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.displays import DomainEmbeddingDisplay
    >>> Xs, ys, Xt, yt = make_shifted_moons(100, random_state=0)
    >>> clf = DANNClassifier(max_epochs=20, random_state=0).fit(Xs, ys, X_target=Xt)
    >>> plain = DANNClassifier(lambda_=0.0, max_epochs=20, random_state=0).fit(Xs, ys)
    >>> display = DomainEmbeddingDisplay.from_estimator(
    ...     clf, Xs, Xt, y_source=ys, y_target=yt, before=plain, random_state=0
    ... )
    >>> list(display.source_points)
    ['before', 'after']
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        source_points: Any,
        target_points: Any,
        y_source: Any = None,
        y_target: Any = None,
        source_rows: Any = None,
        target_rows: Any = None,
    ) -> None:
        self.source_points = source_points
        self.target_points = target_points
        self.y_source = y_source
        self.y_target = y_target
        self.source_rows = source_rows
        self.target_rows = target_rows

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X_source: Any,
        X_target: Any,
        *,
        y_source: Any = None,
        y_target: Any = None,
        before: Any = None,
        method: str = "pca",
        n_samples: int | None = 500,
        random_state: Any = None,
        ax: Any = None,
        scatter_kwargs: Any = None,
    ) -> DomainEmbeddingDisplay:
        """Embed the features that an estimator gives to both domains, and draw them.

        Parameters
        ----------
        estimator : estimator with `transform`
            Fitted; also a pipeline that ends in one, or a search over one.
        X_source, X_target : array-like of shape (n_rows, ...)
            Rows of the domains, best not those trained on.
        y_source, y_target : array-like of shape (n_rows,) or None, default=None
            Their labels; None or nan for single rows without one. Numbers that were
            measured are to be given in groups.
        before : estimator with `transform` or None, default=None
            Another fitted estimator, as a rule one fitted on the source alone, to
            stand above; the same rows are drawn for both.
        method : {"pca", "tsne"}, default="pca"
            How features come into the plane: scikit-learn's `PCA` or `TSNE`,
            fitted on the rows drawn of both domains together, for each estimator.
        n_samples : int or None, default=500
            Most rows of each domain, drawn at random; None draws all.
        random_state : int, RandomState instance or None, default=None
            Decides which rows, and the embedding where it is random.
        ax : array-like of Axes or None, default=None
            Where to draw: for each estimator one by domain and, given labels, one
            by class. None makes a new figure. The legend stands to the right of the
            first row: ``layout="constrained"`` gives it room in a figure of yours.
        scatter_kwargs : dict or None, default=None
            Further arguments of ``Axes.scatter``.

        Returns
        -------
        DomainEmbeddingDisplay
            What was drawn.

        Raises
        ------
        NotFittedError, TypeError, ValueError
            For an estimator that is not fitted or has no `transform`, unequal
            numbers of rows and labels, an unknown method, and features that have
            no plane.
        """
        estimators = {"features": estimator}
        if before is not None:
            estimators = {"before": before, "after": estimator}
        is_labelled = y_source is not None or y_target is not None
        check_axes(ax, _panels(estimators, is_labelled), cls.__name__)
        check_choices(method, n_samples)
        for fitted in estimators.values():
            check_transforms(fitted)
        seeds = check_random_state(random_state).randint(2**31 - 1, size=3)
        source_rows, X_source, y_source = draw_rows(
            "source", X_source, y_source, n_samples, seeds[0]
        )
        target_rows, X_target, y_target = draw_rows(
            "target", X_target, y_target, n_samples, seeds[1]
        )
        points = {
            name: embed_domains(fitted, X_source, X_target, method, seeds[2])
            for name, fitted in estimators.items()
        }
        display = cls(
            source_points={name: source for name, (source, _) in points.items()},
            target_points={name: target for name, (_, target) in points.items()},
            y_source=y_source,
            y_target=y_target,
            source_rows=source_rows,
            target_rows=target_rows,
        )
        return display.plot(ax, scatter_kwargs=scatter_kwargs)

    def plot(self, ax: Any = None, *, scatter_kwargs: Any = None) -> DomainEmbeddingDisplay:
        """Draw the points.

        Parameters
        ----------
        ax : array-like of Axes or None, default=None
            Where to draw: for each estimator one by domain and, given labels, one
            by class. None makes a new figure.
        scatter_kwargs : dict or None, default=None
            Further arguments of ``Axes.scatter``.

        Returns
        -------
        DomainEmbeddingDisplay
            This object.
        """
        plt = import_pyplot(type(self).__name__)
        names = list(self.source_points)
        by_class = self.y_source is not None or self.y_target is not None
        n_columns = 2 if by_class else 1
        panels, size = _panels(names, by_class), (1.3 + 3.2 * n_columns, 3.3 * len(names))
        axes = make_axes(ax, panels, type(self).__name__, n_columns=n_columns, size=size)
        self.axes_ = axes.reshape(len(names), n_columns)
        self.figure_ = axes[0].figure
        self.classes_ = find_classes(self.y_source, self.y_target)
        class_colors = make_class_colors(len(self.classes_), plt)
        self.scatters_ = np.empty((len(names), n_columns, len(DOMAINS)), dtype=object)
        for row, column in np.ndindex(len(names), n_columns):
            self.scatters_[row, column] = self._scatter(
                axes[row * n_columns + column],
                names[row],
                class_colors if column == 1 else None,
                scatter_kwargs,
            )
        for panel, drawn in zip(panels, axes, strict=True):
            drawn.set(title=panel, xticks=[], yticks=[])
        self.legend_ = self._explain(class_colors, plt)
        return self

    def _scatter(self, ax, name: str, class_colors: list[str] | None, scatter_kwargs) -> list:
        """Draw both domains in one of the Axes, by domain or (given colours) by class."""
        drawn = []
        for domain, points, labels in (
            (DOMAINS[0], self.source_points[name], self.y_source),
            (DOMAINS[1], self.target_points[name], self.y_target),
        ):
            colors = [domain.color] * len(points)
            if class_colors is not None:
                colors = color_labels(labels, self.classes_, class_colors, len(points))
            is_grey = class_colors is not None and labels is None
            look = {"c": colors, "marker": domain.marker, "s": 14, "linewidths": 0.8, "alpha": 0.7}
            look |= {"zorder": 1 if is_grey else 2} | (scatter_kwargs or {})
            drawn.append(ax.scatter(*points.T, **look))
        return drawn

    def _explain(self, class_colors: list[str], plt):
        """Explain domains and classes of all panels to the right of the first row."""
        looks: list[tuple[str, str, str]] = list(DOMAINS)
        classes = map(str, self.classes_)
        looks += [(name, color, "s") for name, color in zip(classes, class_colors, strict=True)]
        if self.axes_.shape[1] == 2 and not self._all_labelled():
            looks.append(("no label", UNLABELLED, "s"))
        handles = [
            plt.Line2D([], [], color=color, marker=marker, markersize=5, linestyle="", label=name)
            for name, color, marker in looks
        ]
        return self.axes_[0, -1].legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(1, 1),
            ncols=math.ceil(len(handles) / LEGEND_ROWS),
            fontsize="small",
            frameon=False,
            handletextpad=0.1,
        )

    def _all_labelled(self) -> bool:
        labels = (self.y_source, self.y_target)
        return all(y is not None and has_label(y).all() for y in labels)


def _panels(names, by_class: bool) -> list[str]:
    colorings = ["by domain", "by class"] if by_class else ["by domain"]
    return [f"{name}, {coloring}" for name in names for coloring in colorings]


def has_label(y: np.ndarray) -> np.ndarray:
    """Return for each label whether it is one, neither None nor nan."""
    return np.array([not (label is None or label != label) for label in y.tolist()])


def find_classes(*labels) -> np.ndarray:
    """Return the labels of both domains, each once and sorted.

    Raises
    ------
    ValueError
        For numbers that were measured.
    """
    known = [y[has_label(y)].tolist() for y in labels if y is not None]
    known = [y for y in known if y]
    if any(looks_measured(np.asarray(y)) for y in known):
        raise ValueError(
            "y_source and y_target hold numbers that look measured, and each class has a colour "
            "here: give groups of them, such as numpy.digitize(y, numpy.quantile(y_source, [1/3, "
            "2/3])), or leave both out."
        )
    with named("y_source and y_target"):
        return unique_labels(*known) if known else np.array([])


def color_labels(y, classes: np.ndarray, class_colors: list[str], n_rows: int) -> list[str]:
    """Return the colour of each row: its class's, or grey without a label."""
    colors = dict(zip(classes.tolist(), class_colors, strict=True))
    labels = [None] * n_rows if y is None else y.tolist()
    return [colors.get(label, UNLABELLED) for label in labels]
