"""Boosting that lets rows of the source fade where they mislead about the target."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state

from .._wrapping import check_labelled_target, find_classes
from ..data._domain import Domain, Domains
from ..validation._domains import check_rows_to_predict
from ._boosting import (
    LEAST_ERROR,
    BaseTrAdaBoost,
    fit_round,
    last_half,
    source_factor,
    stack_domains,
)


def vote_weight(error: float, n_classes: int) -> float:
    """Return ``max(0, ln((1 - e) / e) + ln(K - 1))``, with ``e`` at least 0.001."""
    error = np.clip(error, LEAST_ERROR, 1 - LEAST_ERROR)
    return max(0.0, float(np.log((1 - error) / error) + np.log(n_classes - 1)))


def update_weights(
    weights: np.ndarray, wrong: np.ndarray, n_source: int, beta: float, vote: float
) -> np.ndarray:
    """Return ``w beta^wrong`` for the source and ``w exp(vote)^wrong`` for the target, sum 1."""
    factors = np.concatenate([beta ** wrong[:n_source], np.exp(vote * wrong[n_source:])])
    return weights * factors / (weights * factors).sum()


class TrAdaBoostClassifier(ClassifierMixin, BaseTrAdaBoost):
    """TrAdaBoost: rows of the source that are wrong for the target fade from round to round.

    Take it where *part* of the source is of use and some twenty target rows of each class have
    labels. With fewer labels, or a source that is of use as a whole, one fit on both domains
    does better (`BalancedWeightingClassifier`).

    Each of the ``N`` rounds fits the estimator on both domains. Rows of the target that it gets
    wrong gain weight, as in AdaBoost; those of the source lose some, since they seem to follow
    another rule::

        e_t = sum_target w_i [h_t(x_i) != y_i] / sum_target w_i
        target: w_i exp(vote_t [wrong]),   vote_t = ln((1 - e_t) / e_t) + ln(K - 1)
        source: w_i beta^[wrong],          beta = 1 / (1 + sqrt(2 ln n / N))
        predict: argmax_k  sum_{t >= N/2} vote_t [h_t(x) = k]

    for ``n`` rows of the source and ``K`` classes; for two, ``exp(vote_t)`` is the paper's
    ``1 / beta_t = (1 - e_t) / e_t``. ``ln(K - 1)`` is SAMME's, so that more classes ask no more of
    a round than to beat chance. Where ``e_t = 0``, 0.001 takes its place; at chance or below the
    round has no vote, the target's weights stay, and boosting goes on.

    Parameters
    ----------
    estimator : classifier or None, default=None
        What a round fits. One that takes no `sample_weight` gets rows drawn by their weights. None
        is `LogisticRegression`.
    n_estimators : int, default=10
        Rounds ``N``. More let the source fade further.
    random_state : int, RandomState instance or None, default=None
        Seeds the rounds' estimators and draws.

    Attributes
    ----------
    estimators_ : list of classifiers
        Of the rounds that vote, ``N/2`` and later.
    estimator_weights_ : ndarray
        Their votes.
    estimator_errors_ : ndarray of shape (n_estimators,)
        ``e_t`` of all rounds.
    source_weights_ : ndarray of shape (n_source,)
        Weights after the last round, 1 for as much as all rows had on average.
    classes_ : ndarray of shape (n_classes,)
        Labels of both domains.
    n_features_in_ : int
        Columns.

    Notes
    -----
    The target needs labels for the rows that are to teach; rows without are not used. Without a
    target, the plain estimator is fitted. ADAPT 0.4.5 takes ``e/(2 - e)`` for ``beta_t``; this is
    the paper's. In the end most weight lies on the target's rows: where these are very few, fewer
    rounds are safer.

    References
    ----------
    Dai et al., "Boosting for transfer learning", ICML 2007, figure 1.

    For several classes: Zhu et al., "Multi-class AdaBoost", Statistics and Its Interface 2 (2009),
    algorithm 2.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.instance import TrAdaBoostClassifier
    >>> Xs, ys, Xt, yt = make_shifted_moons(200, rotation=60, random_state=0)
    >>> clf = TrAdaBoostClassifier(DecisionTreeClassifier(max_depth=4), random_state=0)
    >>> clf = clf.fit(Xs, ys, X_target=Xt[:30], y_target=yt[:30])
    >>> plain = DecisionTreeClassifier(max_depth=4, random_state=0).fit(Xs, ys)
    >>> bool(clf.score(Xt[30:], yt[30:]) > plain.score(Xt[30:], yt[30:]))
    True
    """

    def __init__(self, estimator=None, n_estimators=10, *, random_state=None):
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.random_state = random_state

    def _default_estimator(self) -> Any:
        return LogisticRegression(max_iter=1000)

    def _fit(self, domains: Domains) -> None:
        target = check_labelled_target(self, domains)
        self.classes_ = find_classes(domains.source.weighted(), target)
        super()._fit(domains)

    def _boost(self, source: Domain, target: Domain) -> np.ndarray:
        random_state = check_random_state(self.random_state)
        n_source, n_classes = len(source), len(self.classes_)
        X, y, weights = stack_domains(source, target)
        n_rows, weights = weights.sum(), weights / weights.sum()
        beta = source_factor(n_source, self.n_estimators)
        fitted, votes, errors = [], [], []
        for _ in range(self.n_estimators):
            fitted.append(fit_round(self._inner(), X, y, weights, random_state, self.classes_))
            wrong = fitted[-1].predict(X) != y
            errors.append(np.average(wrong[n_source:], weights=weights[n_source:]))
            votes.append(vote_weight(errors[-1], n_classes) if n_classes > 1 else 1.0)
            weights = update_weights(weights, wrong, n_source, beta, votes[-1])
        self.estimators_ = last_half(fitted)
        self.estimator_weights_ = np.array(last_half(votes))
        if not self.estimator_weights_.any():  # no better than chance, all of them
            self.estimator_weights_ = np.ones(len(self.estimators_))
        self.estimator_errors_ = np.array(errors)
        return weights[:n_source] * n_rows

    def _votes(self, X: Any) -> np.ndarray:
        votes = np.zeros((X.shape[0], len(self.classes_)))
        for fitted, weight in zip(self.estimators_, self.estimator_weights_, strict=True):
            answers = np.searchsorted(self.classes_, fitted.predict(X))
            votes[np.arange(len(votes)), answers] += weight
        return votes / votes.sum(axis=1, keepdims=True)

    def predict(self, X):
        """Predict the class with most votes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows of the target.

        Returns
        -------
        ndarray of shape (n_rows,)
            Labels.
        """
        X = check_rows_to_predict(self, X)
        if len(self.estimators_) == 1:
            return self.estimators_[0].predict(X)
        return self.classes_[self._votes(X).argmax(axis=1)]

    def predict_proba(self, X):
        """Return the shares of the votes; those of a single round are its own probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows of the target.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            In the order of ``classes_``.
        """
        X = check_rows_to_predict(self, X)
        first = self.estimators_[0]
        if len(self.estimators_) == 1 and hasattr(first, "predict_proba"):
            return first.predict_proba(X)
        return self._votes(X)
