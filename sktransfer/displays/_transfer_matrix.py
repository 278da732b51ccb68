"""Which domain helps which."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import has_fit_parameter

from ..data._target_domain import TargetDomain
from ..model_selection import TransferPipeline
from ..model_selection._source_only import make_source_only
from ..validation._arguments import check_random_state
from ..validation._arrays import as_array
from ._drawing import check_axes, import_pyplot, make_axes

LONG_NAME = 8  # letters


class Split(NamedTuple):
    """A domain's rows to train on and those held out."""

    X_train: Any
    X_test: Any
    y_train: Any
    y_test: Any


class TransferMatrixDisplay:
    """Accuracy (of regressors R^2) from every domain to every domain, as a heat map.

    A clone of the estimator learns from the labelled training rows of a source
    and the unlabelled training rows of a target, and is scored on held-out rows
    of that target. The diagonal is the accuracy within a domain, without a
    target: what is reached where nothing has to be transferred. Make one with
    `from_estimator`.

    Parameters
    ----------
    matrix : ndarray of shape (n_domains, n_domains)
        Accuracies, or R^2, a row for each source and a column for each target. Colours
        go from 0, and below, to 1.
    domain_names : list of str
        Names of the domains.
    score_name : str, default="accuracy"
        What the title calls the numbers.

    Attributes
    ----------
    ax_ : Axes
        Where it is drawn.
    figure_ : Figure
        The figure that holds it.
    im_ : AxesImage
        The heat map.
    text_ : ndarray of Text of shape (n_domains, n_domains)
        The numbers in its cells.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sktransfer import DeepCORALClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.displays import TransferMatrixDisplay
    >>> Xs, ys, Xt, yt = make_shifted_moons(60, random_state=0)
    >>> clf = DeepCORALClassifier(max_epochs=5, random_state=0)
    >>> domains = {"upright": (Xs, ys), "turned": (Xt, yt)}
    >>> display = TransferMatrixDisplay.from_estimator(clf, domains, random_state=0)
    >>> display.matrix.shape
    (2, 2)
    >>> plt.close(display.figure_)
    """

    def __init__(self, *, matrix: Any, domain_names: Any, score_name: str = "accuracy") -> None:
        self.matrix = matrix
        self.domain_names = domain_names
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        domains: Any,
        *,
        test_size: float = 0.25,
        random_state: Any = None,
        n_jobs: Any = None,
        ax: Any = None,
        im_kwargs: Any = None,
        text_kwargs: Any = None,
    ) -> TransferMatrixDisplay:
        """Fit from every domain to every domain and draw the accuracies, or R^2.

        Parameters
        ----------
        estimator : classifier or regressor
            Cloned for each of the ``n_domains ** 2`` fits. One whose `fit` takes
            `X_target`, also in `make_transfer_pipeline`, adapts; any other
            learns from the source alone. On the diagonal there is nothing to
            adapt to, and ``estimator.source_only()`` is fitted.
        domains : dict of str to (X, y)
            At least two domains by name: rows of the same features, and a label
            for each. Labels of a target are used for scoring alone.
        test_size : float or int, default=0.25
            Share or number of each domain's rows to hold out, of a classifier some of
            each class.
        random_state : int, RandomState instance or None, default=None
            Decides which rows; the estimator has its own.
        n_jobs : int or None, default=None
            Fits at the same time, as in joblib.
        ax : Axes or None, default=None
            Where to draw; None makes a new figure.
        im_kwargs, text_kwargs : dict or None, default=None
            Further arguments of ``Axes.imshow`` and of ``Axes.text`` for the cells.

        Returns
        -------
        TransferMatrixDisplay
            What was drawn.

        Raises
        ------
        TypeError, ValueError
            For what is neither classifier nor regressor, fewer than two domains, domains without a
            label for each row or with too few rows to hold out, and for a
            pipeline or a search that could not take the target along.
        """
        check_axes(ax, ["matrix"], cls.__name__)
        if not (is_classifier(estimator) or is_regressor(estimator)):
            raise TypeError(f"estimator must be a classifier or a regressor; got {estimator!r}.")
        adapts, by_class = takes_target(estimator), is_classifier(estimator)
        splits = split_domains(domains, test_size, random_state, by_class=by_class)
        scores = Parallel(n_jobs=n_jobs)(
            delayed(transfer_score)(
                make_source_only(estimator) if adapts and source == target else estimator,
                splits[source],
                splits[target],
                adapts=adapts and source != target,
            )
            for source in splits
            for target in splits
        )
        matrix = np.reshape(scores, (len(splits), len(splits)))
        score_name = "accuracy" if by_class else "R$^2$"
        display = cls(matrix=matrix, domain_names=list(map(str, splits)), score_name=score_name)
        return display.plot(ax, im_kwargs=im_kwargs, text_kwargs=text_kwargs)

    def plot(
        self, ax: Any = None, *, im_kwargs: Any = None, text_kwargs: Any = None
    ) -> TransferMatrixDisplay:
        """Draw the heat map.

        Parameters
        ----------
        ax : Axes or None, default=None
            Where to draw; None makes a new figure.
        im_kwargs, text_kwargs : dict or None, default=None
            Further arguments of ``Axes.imshow`` and of ``Axes.text`` for the cells.

        Returns
        -------
        TransferMatrixDisplay
            This object.
        """
        plt = import_pyplot(type(self).__name__)
        n_domains = len(self.domain_names)
        side = 2.6 + 0.75 * n_domains
        (self.ax_,) = make_axes(ax, ["matrix"], type(self).__name__, size=(side, side))
        self.figure_ = self.ax_.figure
        look = {"cmap": "Blues", "vmin": 0.0, "vmax": 1.0} | (im_kwargs or {})
        self.im_ = self.ax_.imshow(self.matrix, **look)
        self.text_ = np.empty((n_domains, n_domains), dtype=object)
        for (row, column), score in np.ndenumerate(self.matrix):
            color = readable_on(self.im_.cmap(self.im_.norm(score)))
            look = {"ha": "center", "va": "center", "color": color} | (text_kwargs or {})
            self.text_[row, column] = self.ax_.text(column, row, f"{score:.2f}", **look)
        ticks = range(n_domains)
        self.ax_.set_yticks(ticks, self.domain_names)
        self.ax_.set_xticks(ticks, self.domain_names)
        leaning = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
        if max(map(len, self.domain_names)) > LONG_NAME:
            plt.setp(self.ax_.get_xticklabels(), **leaning)
        self.ax_.set(xlabel="target", ylabel="source", title=f"{self.score_name} on the target")
        return self


def readable_on(rgba) -> str:
    """Return black or white, whichever has the higher contrast (WCAG 2) to a colour."""
    rgb = np.array(rgba[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return "black" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "white"


def takes_target(estimator) -> bool:
    """Return whether `fit` takes rows of a target.

    Raises
    ------
    ValueError
        For a pipeline or search that would lead them past its transformers or cut
        them by its folds.
    """
    if isinstance(estimator, TransferPipeline):
        return any(takes_target(step) for _, step in estimator.steps)
    if has_fit_parameter(estimator, "X_target"):
        return True
    is_pipeline = isinstance(estimator, Pipeline)
    inner = estimator[-1] if is_pipeline else getattr(estimator, "estimator", None)
    if hasattr(inner, "fit") and takes_target(inner):
        name = type(inner).__name__
        advice = "make_transfer_pipeline(...)" if is_pipeline else f"the {name} itself"
        raise ValueError(
            f"estimator is a {type(estimator).__name__} around {name}, which "
            f"would not get the target's rows as it should. Give {advice} instead."
        )
    return False


def split_domains(domains, test_size, random_state, *, by_class: bool = True) -> dict[Any, Split]:
    """Return the rows of each domain to train on and those held out.

    Raises
    ------
    TypeError, ValueError
        For too few domains, and for a domain that cannot be split.
    """
    if not hasattr(domains, "items"):
        raise TypeError(f"domains must be a dict of name: (X, y); got a {type(domains).__name__}.")
    if len(domains) < 2:
        raise ValueError(
            f"domains holds {len(domains)}; from domain to domain needs at least 2, as in "
            '{"camera A": (X_a, y_a), "camera B": (X_b, y_b)}.'
        )
    # One seed for all, so that domains that show the same objects in one order are split alike.
    seed = check_random_state(random_state).randint(2**31 - 1)
    splits = {
        name: _split(name, domain, test_size, seed, by_class=by_class)
        for name, domain in domains.items()
    }
    shapes = {name: np.shape(split.X_train)[1:] for name, split in splits.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(
            f"domains hold rows of the shapes {shapes}; all must have the same features in the "
            "same order."
        )
    return splits


def _split(name, domain, test_size, seed: int, *, by_class: bool) -> Split:
    if not isinstance(domain, tuple | list) or len(domain) != 2:
        raise TypeError(f"domains[{name!r}] must be a pair (X, y); got a {type(domain).__name__}.")
    X, y = as_array(domain[0], "X"), as_array(domain[1], "y")
    n_rows, n_labels = np.shape(X)[0], np.shape(y)[0]
    if n_rows != n_labels:
        raise ValueError(
            f"domains[{name!r}] has {n_rows} rows but {n_labels} labels; give one label for each "
            "row."
        )
    sizes = {"test_size": test_size, "stratify": y if by_class else None, "random_state": seed}
    try:
        return Split(*train_test_split(X, y, **sizes))
    except ValueError as error:
        both = " with some of each class on both sides" if by_class else ""
        rows = "rows of each class" if by_class else "rows"
        raise ValueError(
            f"domains[{name!r}] cannot be split by test_size={test_size!r}{both}: {error} Give "
            f"more {rows}, or another test_size."
        ) from error


def transfer_score(estimator, source: Split, target: Split, *, adapts: bool) -> float:
    """Return accuracy or R^2 on held-out rows of the target of a clone fitted on the source."""
    fit_params = {"X_target": TargetDomain(target.X_train)} if adapts else {}
    fitted = clone(estimator).fit(source.X_train, source.y_train, **fit_params)
    score = accuracy_score if is_classifier(estimator) else r2_score
    return float(score(target.y_test, fitted.predict(target.X_test)))
