"""Logistic regression with a prior centred on the source's parameters."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state
from sklearn.utils.extmath import safe_sparse_dot

from .._docs import with_shared_docs
from .._estimator import BaseTransferEstimator
from .._row_order import make_folds
from .._wrapping import find_classes
from ..data._domain import Domain, Domains
from ..validation._domains import check_domains, check_rows_to_predict
from ..validation._target_labels import refuse_words_beside_numbers
from ._logistic import log_losses, logistic_deviations, spread_prior, to_row_space
from ._priors import PRIOR_CONSTRAINTS, PriorMixin, read_coefficients

# Strengths that are tried, times the mean square of a row's features.
STRENGTHS = (*np.logspace(-4, 2, 7), np.inf)

# Of so many rows each is held out by itself: folds of few leave the choice to chance, and moved
# probabilities by .3 in the mean over tasks of 20 labels. More rows are held out in folds.
MOST_LEFT_OUT = 100
N_FOLDS = 10

# What derivatives may be left of where rows are held out; sums of losses are right to a thousandth.
TOLERANCE = 1e-5


@with_shared_docs
class PriorTransferClassifier(PriorMixin, ClassifierMixin, BaseTransferEstimator):
    """Logistic regression on few labels of the target, with a prior centred on the source's.

    The target's coefficients ``W`` are drawn to those of the source, ``W_S``, instead of to zero::

        min_{W, b}  1/m sum_j -log p(y_j | x_j; W, b) + strength/2 (||W - W_S||^2 + ||b - b_S||^2)

    for ``m`` rows of the target, with softmax (two classes: logistic) probabilities ``p``. Strength
    0 is the target alone, an infinite one the source's model. The best strength has the least log
    loss on held-out rows of the target, each by itself where there are at most 100, else in 10
    folds.

    Parameters
    ----------
    {prior_source_parameter}
    strength : "auto" or float, default="auto"
        Of the prior, from 0 to infinity. "auto" takes the best of 8, from 1e-4 to 100 times the
        mean square of the target's rows, and infinity. Where the target has a single row, it is
        infinity.
    shrink_intercept : bool, default=True
        Draw the intercepts to the source's, too. Few rows say little of the shares of classes, and
        nothing of a class that they do not show; False lets the target's rows alone decide.
    random_state : int, RandomState instance or None, default=None
        Assigns rows to folds, where the target has more than 100; else nothing is random.

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients ``W``.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts ``b``.
    classes_ : ndarray of shape (n_classes,)
        Labels of the source and the target.
    {prior_attributes}

    See Also
    --------
    BalancedWeightingClassifier : For estimators that have no coefficients.

    References
    ----------
    Chelba and Acero, "Adaptation of maximum entropy capitalizer: little data can help a lot",
    Computer Speech & Language 20 (2006), eq. 10.

    Examples
    --------
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.parameters import PriorTransferClassifier
    >>> Xs, ys, Xt, yt = make_shifted_moons(200, rotation=60, random_state=0)
    >>> clf = PriorTransferClassifier(random_state=0)
    >>> clf = clf.fit(Xs, ys, X_target=Xt[:10], y_target=yt[:10])
    >>> clf.score(Xt[10:], yt[10:]) > clf.source_.score(Xt[10:], yt[10:])
    True
    """

    _parameter_constraints: ClassVar = {**PRIOR_CONSTRAINTS, "random_state": ["random_state"]}

    def __init__(self, source=None, *, strength="auto", shrink_intercept=True, random_state=None):
        self.source = source
        self.strength = strength
        self.shrink_intercept = shrink_intercept
        self.random_state = random_state

    def _default_source(self) -> Any:
        return LogisticRegression(max_iter=1000)

    def _check(self, fitted, X, y, X_target, y_target, sample_weight) -> Domains:
        return check_domains(
            fitted, X, y, X_target, y_target, sample_weight, dtype=[np.float64, np.float32]
        )

    def _fit(self, domains: Domains) -> None:
        self.source_, target = self._split(domains)
        coef, intercept = read_coefficients(self.source_, self.n_features_in_)
        known = getattr(self.source_, "classes_", None)
        if known is None:
            raise TypeError(
                f"source is {type(self.source_).__name__}, which has no classes_: give a linear "
                "classifier such as LogisticRegression."
            )
        if target is not None:
            refuse_words_beside_numbers(known, target.labels)
        self.classes_ = known if target is None else np.union1d(known, find_classes(target))
        self.coef_, self.intercept_ = spread_prior(coef, intercept, known, self.classes_)
        self.strength_ = np.inf
        if target is not None:
            self._learn(target)

    def _learn(self, target: Domain) -> None:
        target = target.weighted()
        codes = np.searchsorted(self.classes_, np.asarray(target.y))
        weights = np.ones(len(target)) if target.sample_weight is None else target.sample_weight
        prior = self.coef_, self.intercept_
        self.strength_ = self.strength
        if self.strength == "auto":
            self.strength_ = self._choose_strength(target.X, codes, weights, *prior)
        shares, drawn = weights / weights.sum(), (self.strength_, self.shrink_intercept)
        self.coef_, self.intercept_ = logistic_deviations(target.X, codes, shares, prior, *drawn)

    def _choose_strength(
        self, X: Any, codes: Any, weights: Any, coef: Any, intercept: Any
    ) -> float:
        """Return that of the least loss on rows held out."""
        every, folds = np.arange(len(codes)), self._folds(X, codes)
        if len(folds) < 2:
            return np.inf
        squares = X.multiply(X) if hasattr(X, "multiply") else X**2
        size = max(float(squares.sum(axis=1).mean()), np.finfo(float).tiny)
        if len(codes) <= MOST_LEFT_OUT:
            X, coef = to_row_space(X, coef)

        def learn(rows: np.ndarray, strength: float, start: Any = None) -> Any:
            shares = weights[rows] / weights[rows].sum()
            drawn = (coef, intercept), strength, self.shrink_intercept
            return logistic_deviations(X[rows], codes[rows], shares, *drawn, start, TOLERANCE)

        def held_out_loss(strength: float) -> float:
            whole, loss = learn(every, strength), 0.0
            for fold in folds:
                fitted = learn(np.delete(every, fold), strength, whole)
                loss += weights[fold] @ log_losses(X[fold], codes[fold], *fitted)
            return loss

        strengths = np.multiply(STRENGTHS, size)
        return float(strengths[np.argmin([held_out_loss(s) for s in strengths])])

    def _folds(self, X: Any, codes: np.ndarray) -> list[np.ndarray]:
        """Return the numbers of rows that are held out together."""
        if len(codes) <= MOST_LEFT_OUT:
            return [np.array([row]) for row in range(len(codes))]
        return make_folds(X, codes, N_FOLDS, check_random_state(self.random_state))

    def decision_function(self, X):
        """Return the logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows of the target.

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, n_classes)
            ``W x + b``; for two classes, that of the second.
        """
        X = check_rows_to_predict(self, X, dtype=[np.float64, np.float32])
        logits = safe_sparse_dot(X, self.coef_.T, dense_output=True) + self.intercept_
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def predict_proba(self, X):
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows of the target.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            In the order of ``classes_``.
        """
        logits = self.decision_function(X)
        if logits.ndim == 1:
            return np.column_stack([expit(-logits), expit(logits)])
        return softmax(logits, axis=1)

    def predict(self, X):
        """Predict the most probable class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows of the target.

        Returns
        -------
        ndarray of shape (n_rows,)
            Labels.
        """
        logits = self.decision_function(X)
        chosen = (logits > 0).astype(int) if logits.ndim == 1 else logits.argmax(axis=1)
        return self.classes_[chosen]
