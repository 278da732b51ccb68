"""TrAdaBoost for regression."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import check_random_state

from ..data._domain import Domain
from ..validation._domains import check_rows_to_predict
from ._boosting import (
    LEAST_ERROR,
    BaseTrAdaBoost,
    fit_round,
    last_half,
    source_factor,
    stack_domains,
)


def relative_errors(y: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return ``|y_i - h(x_i)| / max_j |y_j - h(x_j)|``; zeros where all are right."""
    errors = np.abs(y - predicted)
    greatest = errors.max()
    return errors / greatest if greatest > 0 else errors


def odds_of_error(errors: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Return the weighted mean error ``e`` and ``e / (1 - e)``, with ``e`` at least 0.001."""
    error = float(np.average(errors, weights=weights))
    kept = max(error, LEAST_ERROR)
    return error, kept / (1 - kept) if kept < 1 else np.inf


def weighted_median(predictions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return for each row the least prediction that half of the weight does not exceed.

    Parameters
    ----------
    predictions : ndarray of shape (n_rows, n_estimators)
        What each says.
    weights : ndarray of shape (n_estimators,)
        What each counts.
    """
    order = predictions.argsort(axis=1)
    reached = weights[order].cumsum(axis=1)
    middle = (reached >= reached[:, -1:] / 2).argmax(axis=1)
    rows = np.arange(len(predictions))
    return predictions[rows, order[rows, middle]]


class MedianOfRoundsMixin(RegressorMixin):
    """Predicts by the weighted median of rounds, by default those of a tree."""

    estimators_: list[Any]
    estimator_weights_: np.ndarray

    def _default_estimator(self) -> Any:
        return DecisionTreeRegressor(max_depth=6)

    def predict(self, X):
        """Predict the weighted median of the rounds' predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows of the target.

        Returns
        -------
        ndarray of shape (n_rows,)
            Values.
        """
        X = check_rows_to_predict(self, X)
        predictions = np.column_stack([fitted.predict(X) for fitted in self.estimators_])
        return weighted_median(predictions, self.estimator_weights_)


class TrAdaBoostRegressor(MedianOfRoundsMixin, BaseTrAdaBoost):
    """TrAdaBoost.R2: rows of the source that are far off for the target fade from round to round.

    Each of the ``N`` rounds fits the estimator on both domains and weighs rows by their errors,
    relative to the greatest::

        e_i = |y_i - h_t(x_i)| / max_j |y_j - h_t(x_j)|
        e_t = sum_target w_i e_i / sum_target w_i,   beta_t = e_t / (1 - e_t)
        target: w_i beta_t^-e_i,   source: w_i beta^e_i,   beta = 1 / (1 + sqrt(2 ln n / N))
        predict: the median of h_t(x) over t >= N/2, weighted by ln(1 / beta_t)

    for ``n`` rows of the source. A round with ``e_t >= 1/2`` is dropped and ends boosting (the
    first is kept); where ``e_t = 0``, 0.001 takes its place.

    Parameters
    ----------
    estimator : regressor or None, default=None
        What a round fits. One that takes no `sample_weight` gets rows drawn by their weights. None
        is `DecisionTreeRegressor` with ``max_depth=6``.
    n_estimators : int, default=10
        Rounds ``N``. More let the source fade further.
    random_state : int, RandomState instance or None, default=None
        Seeds the rounds' estimators and draws.

    Attributes
    ----------
    estimators_ : list of regressors
        Of the rounds that vote, ``N/2`` and later.
    estimator_weights_ : ndarray
        Their weights.
    estimator_errors_ : ndarray
        ``e_t`` of all rounds.
    source_weights_ : ndarray of shape (n_source,)
        Weights after the last round, 1 for as much as all rows had on average.
    n_features_in_ : int
        Columns.

    See Also
    --------
    TwoStageTrAdaBoostRegressor : Steadier, and many times the fits.

    Notes
    -----
    The target needs values for the rows that are to teach; rows without are not used. Without a
    target, the plain estimator is fitted.

    The rows that are furthest off count most, so noise counts, too: on noisy values of diabetes
    patients, with 40 of the target and no shift, R^2 of the default trees was
    .14 (AdaBoost on both domains' rows .42, ``estimator=Ridge(0.1)`` .36). Compare.

    References
    ----------
    Pardoe and Stone, "Boosting for regression transfer", ICML 2010, algorithm 3.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.instance import TrAdaBoostRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, X_target = rng.uniform(-1, 1, (300, 1)), rng.uniform(-1, 1, (20, 1))
    >>> reg = TrAdaBoostRegressor(random_state=0)
    >>> reg = reg.fit(X, X[:, 0], X_target=X_target, y_target=np.abs(X_target[:, 0]))
    >>> reg.source_weights_[X[:, 0] > 0].mean() > reg.source_weights_[X[:, 0] < 0].mean()
    np.True_
    """

    def __init__(self, estimator=None, n_estimators=10, *, random_state=None):
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.random_state = random_state

    def _boost(self, source: Domain, target: Domain) -> np.ndarray:
        random_state = check_random_state(self.random_state)
        n_source = len(source)
        X, y, weights = stack_domains(source, target)
        n_rows, weights = weights.sum(), weights / weights.sum()
        beta = source_factor(n_source, self.n_estimators)
        fitted: list[Any] = []
        votes: list[float] = []
        errors: list[float] = []
        for _ in range(self.n_estimators):
            learner = fit_round(self._inner(), X, y, weights, random_state)
            relative = relative_errors(y, learner.predict(X))
            error, odds = odds_of_error(relative[n_source:], weights[n_source:])
            errors.append(error)
            if error >= 0.5 and fitted:
                break
            fitted.append(learner)
            votes.append(max(-np.log(odds), LEAST_ERROR))
            if error >= 0.5:
                break
            factors = beta**relative
            factors[n_source:] = odds ** -relative[n_source:]
            weights = weights * factors / (weights * factors).sum()
        self.estimators_ = last_half(fitted)
        self.estimator_weights_ = np.array(last_half(votes))
        self.estimator_errors_ = np.array(errors)
        return weights[:n_source] * n_rows
