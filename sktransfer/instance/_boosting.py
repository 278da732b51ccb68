"""What the TrAdaBoost estimators share."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from .._validation import Integral, Interval
from .._wrapping import WrapperMixin, fit_weighted, stack_rows, takes_sample_weight
from ..data._domain import Domain

# Errors are kept this far from 0, so that a perfect round has a finite vote.
LEAST_ERROR = 1e-3

# Attributes that all have.
BOOSTING_CONSTRAINTS: dict[str, list[object]] = {
    **WrapperMixin._parameter_constraints,
    "n_estimators": [Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
}


def source_factor(n_source: int, n_rounds: int) -> float:
    """Return ``beta = 1 / (1 + sqrt(2 ln n / N))``, by which wrong rows of the source fade."""
    return 1 / (1 + np.sqrt(2 * np.log(n_source) / n_rounds))


def seed_estimator(estimator: Any, random_state: np.random.RandomState) -> None:
    """Set each `random_state` of an estimator and those in it."""
    for name in sorted(estimator.get_params()):
        if name.rpartition("__")[2] == "random_state":
            estimator.set_params(**{name: random_state.randint(np.iinfo(np.int32).max)})


def fit_round(
    estimator: Any,
    X: Any,
    y: np.ndarray,
    weights: np.ndarray,
    random_state: Any,
    labels: Any = None,
) -> Any:
    """Fit a clone with weights, or on rows drawn by them where it takes none.

    A draw that misses one of the `labels` gets its heaviest row.
    """
    fitted = clone(estimator)
    seed_estimator(fitted, random_state)
    if takes_sample_weight(fitted):
        return fit_weighted(fitted, X, y, weights * (len(y) / weights.sum()))
    rows = random_state.choice(len(y), size=len(y), p=weights / weights.sum())
    missing: Any = [] if labels is None else np.setdiff1d(labels, y[rows])
    heaviest = [np.argmax(np.where(y == label, weights, -1)) for label in missing]
    return fit_weighted(fitted, X[[*rows, *heaviest]], y[[*rows, *heaviest]], None)


def last_half(items: list[Any]) -> list[Any]:
    """Return the rounds ``ceil(N/2)`` to ``N`` that vote."""
    return items[max(-(-len(items) // 2) - 1, 0) :]


def fit_alone(boosting: Any, source: Domain) -> None:
    """Fit the plain estimator once, where there is no target."""
    fitted = clone(boosting._inner())
    seed_estimator(fitted, check_random_state(boosting.random_state))
    boosting.estimators_ = [fit_weighted(fitted, source.X, source.y, source.sample_weight)]
    boosting.estimator_weights_ = np.ones(1)
    boosting.estimator_errors_ = np.zeros(0)
    boosting.source_weights_ = np.ones(len(source))


def stack_domains(source: Domain, target: Domain) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return rows, labels and weights of both domains; a row weighs 1 unless the user says so."""
    given = np.ones(len(source)) if source.sample_weight is None else source.sample_weight
    X, y = stack_rows(source.X, target.X), np.concatenate([source.y, target.y])
    return X, y, np.concatenate([given, np.ones(len(target))])
