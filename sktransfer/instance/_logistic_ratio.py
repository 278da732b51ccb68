"""Density ratio by a classifier that tells the domains apart."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .._row_order import shuffle_rows
from .._wrapping import fit_weighted, may_take_sparse, stack_rows
from ..data._domain import Domain
from ..validation._constraints import HasMethods, Integral, Interval
from ._density_ratio import BaseDensityRatio, normalized

# Probabilities of a domain are kept this far from 0 and 1.
LEAST_PROBABILITY = 1e-6


def odds_to_ratio(of_target: np.ndarray, n_source: float, n_target: float) -> np.ndarray:
    """Return ``n_source / n_target  d / (1 - d)`` for probabilities ``d`` of the target."""
    of_target = np.clip(of_target, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return n_source / n_target * of_target / (1 - of_target)


class LogisticRatio(BaseDensityRatio):
    """The density ratio by the odds of a classifier that tells source from target.

    With ``d(x)`` the probability that a row is one of the ``m`` of the target and not of the ``n``
    of the source, the ratio is ::

        w(x) = n/m  d(x) / (1 - d(x))

    Any classifier with `predict_proba` serves. The weights of the source are cross-fitted: ``d``
    has not seen the row that it weighs.

    Parameters
    ----------
    classifier : estimator or None, default=None
        Tells the domains apart. None is logistic regression on standardised features with
        ``C = 1 / n_features``, so that many features do not make it overconfident.
    n_folds : int, default=5
        Folds; 0 or 1 weighs rows by the classifier that has seen them.
    random_state : int, RandomState instance or None, default=None
        Assigns rows to folds.

    Attributes
    ----------
    weights_ : ndarray of shape (n_source,)
        Weights of the source's rows.
    effective_size_ : float
        ``(sum w)^2 / sum w^2`` (with `sample_weight` multiplied in).
    classifier_ : estimator
        Fitted on all rows; class 1 is the target. `predict` uses it.
    n_target_, n_features_in_ : int
        Rows of the target (0 where there was none), and columns.

    References
    ----------
    Bickel, Brückner and Scheffer, "Discriminative learning under covariate shift", JMLR 10 (2009),
    eq. 10. https://jmlr.org/papers/v10/bickel09a.html

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.instance import LogisticRatio
    >>> rng = np.random.default_rng(0)
    >>> X, X_target = rng.normal(size=(200, 1)), rng.normal(1, 1, size=(100, 1))
    >>> ratio = LogisticRatio(random_state=0).fit(X, X_target=X_target)
    >>> bool(abs(np.log(ratio.predict([[0.5]])[0])) < 0.3)  # where both densities are equal
    True
    """

    _measures_distances: ClassVar = False
    _parameter_constraints: ClassVar = {
        **BaseDensityRatio._parameter_constraints,
        "classifier": [None, HasMethods(["fit", "predict_proba"])],
        "n_folds": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(self, classifier=None, *, n_folds=5, random_state=None):
        self.classifier = classifier
        self.n_folds = n_folds
        self.random_state = random_state

    def _estimate(self, source: Domain, X_target: Any, random_state: Any) -> np.ndarray:
        n_source, n_target = len(source), X_target.shape[0]
        classifier = self.classifier
        if classifier is None:
            classifier = make_pipeline(
                StandardScaler(
                    with_mean=not (sparse.issparse(source.X) or sparse.issparse(X_target))
                ),
                LogisticRegression(C=1 / source.X.shape[1], max_iter=1000),
            )
        X = stack_rows(source.X, X_target)
        domain = np.repeat([0, 1], [n_source, n_target])
        weights = None
        if source.sample_weight is not None:
            shares = normalized(source.sample_weight, n_source)
            weights = np.concatenate([n_source * shares, np.ones(n_target)])
        self.classifier_ = fit_weighted(clone(classifier), X, domain, weights)
        self._odds_of_chance = n_source / n_target
        n_folds = min(self.n_folds, n_source, n_target)
        if n_folds < 2:
            return self._ratio(source.X)
        of_target = np.empty(n_source)
        order = shuffle_rows(X, random_state)
        for learned, held_out in StratifiedKFold(n_folds).split(order, domain[order]):
            rows, held = order[learned], order[held_out]
            held = held[held < n_source]
            part = None if weights is None else weights[rows]
            fitted = fit_weighted(clone(classifier), X[rows], domain[rows], part)
            of_target[held] = fitted.predict_proba(X[held])[:, 1]
        return odds_to_ratio(of_target, n_source, n_target)

    def _ratio(self, X: Any) -> np.ndarray:
        return odds_to_ratio(self.classifier_.predict_proba(X)[:, 1], self._odds_of_chance, 1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self.classifier is not None:
            tags.input_tags.sparse = may_take_sparse(self.classifier)
        return tags
