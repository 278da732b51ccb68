"""Two-stage TrAdaBoost.R2."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.optimize import brentq
from sklearn.utils import check_random_state

from .._row_order import shuffle_rows
from ..data._domain import Domain, Domains
from ..validation._constraints import Integral, Interval
from ._boosting import LEAST_ERROR, BaseTrAdaBoost, fit_round, stack_domains
from ._tradaboost_r2 import (
    MedianOfRoundsMixin,
    odds_of_error,
    relative_errors,
    weighted_median,
)


def fade(weights: np.ndarray, errors: np.ndarray, total: float) -> np.ndarray:
    """Return ``w_i beta^e_i`` with ``beta`` in (0, 1] such that they sum to `total`.

    Where rows without an error are worth more than that already, they share it.
    """
    if total <= 0:
        return np.zeros_like(weights)

    def excess(exponent: float) -> float:
        return float((weights * np.exp(-exponent * errors)).sum() - total)

    end = 1.0
    while excess(end) > 0 and end < 1e6:
        end *= 4
    if excess(0.0) > 0 and excess(end) <= 0:
        weights = weights * np.exp(-brentq(excess, 0.0, end) * errors)
    elif excess(0.0) > 0:
        weights = weights * np.exp(-end * errors)
    return weights * (total / weights.sum())


def boost_target(
    estimator: Any,
    X: Any,
    y: np.ndarray,
    weights: np.ndarray,
    n_source: int,
    n_rounds: int,
    random_state: np.random.RandomState,
) -> tuple[list[Any], np.ndarray]:
    """Run AdaBoost.R2 that reweighs rows of the target alone, their sum staying as it is.

    Returns
    -------
    estimators : list
        Of the rounds.
    votes : ndarray
        Their weights ``ln(1 / beta_t)``.
    """
    fitted: list[Any] = []
    votes: list[float] = []
    weights = weights.copy()
    total = weights[n_source:].sum()
    used = np.flatnonzero(weights)  # rows that weigh nothing teach nothing
    learned, of_target = (X[used], y[used]), (X[n_source:], y[n_source:])  # copied once
    for _ in range(n_rounds):
        learner = fit_round(estimator, *learned, weights[used], random_state)
        relative = relative_errors(of_target[1], learner.predict(of_target[0]))
        error, odds = odds_of_error(relative, weights[n_source:])
        if error >= 0.5 and fitted:
            break
        fitted.append(learner)
        votes.append(max(-np.log(odds), LEAST_ERROR))
        if error >= 0.5:
            break
        raised = weights[n_source:] * odds**-relative
        weights[n_source:] = raised * (total / raised.sum())
    return fitted, np.array(votes)


class TwoStageTrAdaBoostRegressor(MedianOfRoundsMixin, BaseTrAdaBoost):
    """Two-stage TrAdaBoost.R2: the source fades in steps, and cross-validation says how far.

    Step ``k`` of ``S`` gives the target the share ::

        m/(n + m) + k/(S - 1) (1 - m/(n + m)),   k = 0 .. S - 1

    of all weight, for ``n`` rows of the source and ``m`` of the target: as things are at first, the
    target alone at last. Rows of the source fade by ``beta^e_i``, with their relative error ``e_i``
    and the ``beta`` that gives the share. At each step, AdaBoost.R2 that reweighs the target's rows
    alone is cross-validated on the target; the step of the least squared error is the model.

    Parameters
    ----------
    estimator : regressor or None, default=None
        What a round fits. One that takes no `sample_weight` gets rows drawn by their weights. None
        is `DecisionTreeRegressor` with ``max_depth=6``.
    n_estimators : int, default=10
        Rounds of boosting at each step.
    n_steps : int, default=10
        Steps ``S``.
    n_folds : int, default=5
        Folds of the target's rows. A fit takes about ``n_steps n_estimators n_folds`` fits of the
        estimator.
    random_state : int, RandomState instance or None, default=None
        Seeds the rounds' estimators, draws and folds.

    Attributes
    ----------
    estimators_ : list of regressors
        The rounds of the best step.
    estimator_weights_ : ndarray
        Their weights.
    estimator_errors_ : ndarray of shape (n_steps,)
        Mean squared error of each step on held-out rows of the target.
    best_step_ : int
        The step that was chosen; 0 is the source as it is, the last the target alone.
    source_weights_ : ndarray of shape (n_source,)
        Weights there, 1 for as much as all rows had on average.
    n_features_in_ : int
        Columns.

    See Also
    --------
    TrAdaBoostRegressor : A single pass.

    Notes
    -----
    The target needs values for the rows that are to teach; rows without are not used. Without a
    target, the plain estimator is fitted.

    A tree looks at every column, and about 500 are fitted: with 340 rows of 1,000 columns that took
    38 seconds, and of 20,000, where one takes 2, it is a quarter of an hour. With
    ``DecisionTreeRegressor(max_depth=6, max_features="sqrt")``, which draws columns, it was 2 and
    12 seconds (R^2 .74 and .59 became .78 and .71 in two draws of 1,000 columns); with `Ridge` of
    20,000 columns 10.

    The rows that are furthest off count most, so noise counts, too: on noisy values of diabetes
    patients, with 40 of the target and no shift, R^2 of the default trees was
    .26 (AdaBoost on both domains' rows .42, ``estimator=Ridge(0.1)`` .49). Compare.

    References
    ----------
    Pardoe and Stone, "Boosting for regression transfer", ICML 2010, algorithm 4. There the largest
    error of both domains scales the errors in boosting, here that of the target, whose rows alone
    are reweighed.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.instance import TwoStageTrAdaBoostRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, X_target = rng.uniform(-1, 1, (200, 1)), rng.uniform(-1, 1, (20, 1))
    >>> reg = TwoStageTrAdaBoostRegressor(n_estimators=3, n_steps=5, random_state=0)
    >>> reg = reg.fit(X, -X[:, 0], X_target=X_target, y_target=X_target[:, 0])
    >>> reg.best_step_  # nothing of this source is of use
    4
    """

    _parameter_constraints: ClassVar = {
        **BaseTrAdaBoost._parameter_constraints,
        "n_steps": [Interval(Integral, 2, None, closed="left")],
        "n_folds": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self, estimator=None, n_estimators=10, *, n_steps=10, n_folds=5, random_state=None
    ):
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.n_steps = n_steps
        self.n_folds = n_folds
        self.random_state = random_state

    def _fit(self, domains: Domains) -> None:
        self.best_step_ = 0
        super()._fit(domains)

    def _boost(self, source: Domain, target: Domain) -> np.ndarray:
        random_state = check_random_state(self.random_state)
        X, y, weights = stack_domains(source, target)
        n_source, total = len(source), weights.sum()
        weights = weights / total
        first = weights[n_source:].sum()
        order = n_source + shuffle_rows(target.X, random_state)
        folds = np.array_split(order, min(self.n_folds, len(target)))
        seed = random_state.randint(np.iinfo(np.int32).max)
        errors, steps = [], []
        for step in range(self.n_steps):
            share = first + step / (self.n_steps - 1) * (1 - first)
            if step:
                learner = fit_round(self._inner(), X, y, weights, np.random.RandomState(seed))
                relative = relative_errors(y, learner.predict(X))[:n_source]
                faded = fade(weights[:n_source], relative, 1 - share)
                weights = np.concatenate([faded, np.full(len(target), share / len(target))])
            errors.append(self._held_out_error(X, y, weights, n_source, folds, seed))
            steps.append(weights)
        self.estimator_errors_ = np.array(errors)
        self.best_step_ = int(np.argmin(errors))
        best = steps[self.best_step_]
        self.estimators_, self.estimator_weights_ = boost_target(
            self._inner(), X, y, best, n_source, self.n_estimators, np.random.RandomState(seed)
        )
        return best[:n_source] * total

    def _held_out_error(
        self, X: Any, y: np.ndarray, weights: np.ndarray, n_source: int, folds: Any, seed: int
    ) -> float:
        if len(folds) < 2:  # a single row: nothing to choose by, the source stays
            return 0.0
        squared = []
        for fold in folds:
            learned = np.setdiff1d(np.arange(len(y)), fold)
            fitted, votes = boost_target(
                self._inner(),
                X[learned],
                y[learned],
                weights[learned],
                n_source,
                self.n_estimators,
                np.random.RandomState(seed),
            )
            predictions = np.column_stack([each.predict(X[fold]) for each in fitted])
            squared.append((weighted_median(predictions, votes) - y[fold]) ** 2)
        return float(np.concatenate(squared).mean())
