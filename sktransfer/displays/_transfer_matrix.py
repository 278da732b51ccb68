"""Which domain helps which."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import has_fit_parameter

from .._old_checks import as_array
from .._target_domain import TargetDomain
from ..model_selection import TransferPipeline
from ..model_selection._source_only import make_source_only
from ._drawing import check_axes, import_pyplot, make_axes

LONG_NAME = 8  # letters


class Split(NamedTuple):
    """A domain's rows to train on and those held out."""

    X_train: Any
    X_test: Any
    y_train: Any
    y_test: Any


class TransferMatrixDisplay:
    """Accuracy from every domain to every domain, as a heat map.

    A clone of the estimator learns from the labelled training rows of a source
    and the unlabelled training rows of a target, and is scored on held-out rows
    of that target. The diagonal is the accuracy within a domain, without a
    target: what is reached where nothing has to be transferred. Make one with
    `from_estimator`.

    Parameters
    ----------
    matrix : ndarray of shape (n_domains, n_domains)
        Accuracies in [0, 1], a row for each source and a column for each target.
    domain_names : list of str
        Names of the domains.

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

    def __init__(self, *, matrix, domain_names):
        self.matrix = matrix
        self.domain_names = domain_names

    @classmethod
    def from_estimator(
        cls,
        estimator,
        domains,
        *,
        test_size=0.25,
        random_state=None,
        n_jobs=None,
        ax=None,
        im_kwargs=None,
        text_kwargs=None,
    ):
        """Fit from every domain to every domain and draw the accuracies.

        Parameters
        ----------
        estimator : classifier
            Cloned for each of the ``n_domains ** 2`` fits. One whose `fit` takes
            `X_target`, also in `make_transfer_pipeline`, adapts; any other
            learns from the source alone. On the diagonal there is nothing to
            adapt to, so `lambda_` and `entropy_weight` are set to 0.
        domains : dict of str to (X, y)
            At least two domains by name: rows of the same features, and a label
            for each. Labels of a target are used for scoring alone.
        test_size : float or int, default=0.25
            Share or number of each domain's rows to hold out, some of each class.
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
            For what is no classifier, fewer than two domains, domains without a
            label for each row or with too few rows to hold out, and for a
            pipeline or a search that could not take the target along.
        """
        check_axes(ax, ["matrix"], cls.__name__)
        if not is_classifier(estimator):
            raise TypeError(f"estimator must be a classifier; got {estimator!r}.")
        adapts = takes_target(estimator)
        splits = split_domains(domains, test_size, random_state)
        accuracies = Parallel(n_jobs=n_jobs)(
            delayed(transfer_accuracy)(
                make_source_only(estimator) if adapts and source == target else estimator,
                splits[source],
                splits[target],
                adapts=adapts and source != target,
            )
            for source in splits
            for target in splits
        )
        matrix = np.reshape(accuracies, (len(splits), len(splits)))
        display = cls(matrix=matrix, domain_names=list(map(str, splits)))
        return display.plot(ax, im_kwargs=im_kwargs, text_kwargs=text_kwargs)

    def plot(self, ax=None, *, im_kwargs=None, text_kwargs=None):
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
        for (row, column), accuracy in np.ndenumerate(self.matrix):
            color = readable_on(self.im_.cmap(self.im_.norm(accuracy)))
            look = {"ha": "center", "va": "center", "color": color} | (text_kwargs or {})
            self.text_[row, column] = self.ax_.text(column, row, f"{accuracy:.2f}", **look)
        ticks = range(n_domains)
        self.ax_.set_yticks(ticks, self.domain_names)
        self.ax_.set_xticks(ticks, self.domain_names)
        leaning = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
        if max(map(len, self.domain_names)) > LONG_NAME:
            plt.setp(self.ax_.get_xticklabels(), **leaning)
        self.ax_.set(xlabel="target", ylabel="source", title="accuracy on the target")
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
        return takes_target(estimator[-1])
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


def split_domains(domains, test_size, random_state) -> dict[Any, Split]:
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
    return {name: _split(name, domain, test_size, seed) for name, domain in domains.items()}


def _split(name, domain, test_size, seed: int) -> Split:
    if not isinstance(domain, tuple | list) or len(domain) != 2:
        raise TypeError(f"domains[{name!r}] must be a pair (X, y); got a {type(domain).__name__}.")
    X, y = as_array(domain[0], "X"), as_array(domain[1], "y")
    n_rows, n_labels = np.shape(X)[0], np.shape(y)[0]
    if n_rows != n_labels:
        raise ValueError(
            f"domains[{name!r}] has {n_rows} rows but {n_labels} labels; give one label for each "
            "row."
        )
    try:
        return Split(*train_test_split(X, y, test_size=test_size, stratify=y, random_state=seed))
    except ValueError as error:
        raise ValueError(
            f"domains[{name!r}] cannot be split by test_size={test_size!r} with some of each class "
            f"on both sides: {error} Give more rows of each class, or another test_size."
        ) from error


def transfer_accuracy(estimator, source: Split, target: Split, *, adapts: bool) -> float:
    """Return the accuracy on held-out rows of the target of a clone fitted on the source."""
    fit_params = {"X_target": TargetDomain(target.X_train)} if adapts else {}
    clf = clone(estimator).fit(source.X_train, source.y_train, **fit_params)
    return accuracy_score(target.y_test, clf.predict(target.X_test))
