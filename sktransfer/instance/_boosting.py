"""What the TrAdaBoost estimators share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from .._estimator import BaseTransferEstimator
from .._warning import warn
from .._wrapping import (
    WrapperMixin,
    check_labelled_target,
    fit_weighted,
    stack_rows,
    takes_sample_weight,
)
from ..data._domain import Domain, Domains
from ..validation._constraints import Integral, Interval

# Errors are kept this far from 0, so that a perfect round has a finite vote.
LEAST_ERROR = 1e-3


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


def stack_domains(source: Domain, target: Domain) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return rows, labels and weights of both domains; a row weighs 1 unless the user says so."""
    given = np.ones(len(source)) if source.sample_weight is None else source.sample_weight
    X, y = stack_rows(source.X, target.X), np.concatenate([source.y, target.y])
    return X, y, np.concatenate([given, np.ones(len(target))])


class BaseTrAdaBoost(WrapperMixin, BaseTransferEstimator):
    """Fits another estimator in rounds, between which weights of rows change."""

    _parameter_constraints: ClassVar = {
        **WrapperMixin._parameter_constraints,
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    n_estimators: int
    random_state: Any
    estimators_: list[Any]
    estimator_weights_: np.ndarray
    estimator_errors_: np.ndarray

    @abstractmethod
    def _boost(self, source: Domain, target: Domain) -> np.ndarray:
        """Learn from both domains, and return the last weights of the source's rows."""

    def _fit(self, domains: Domains) -> None:
        self._inner_of_one_kind()  # which also refuses what cannot be fitted here
        target = check_labelled_target(self, domains)
        if target is None and self._transfers():
            warn(
                f"{type(self).__name__} was fitted without X_target: its estimator was fitted "
                "once, on the source. Pass labelled rows of the target, fit(X, y, "
                "X_target=X_target, y_target=y_target)."
            )
        source = domains.source.weighted()
        weights = self._fit_once(source) if target is None else self._boost(source, target)
        self.source_weights_ = weights
        if source is not domains.source:  # rows that weighed nothing from the first
            self.source_weights_ = np.zeros(len(domains.source))
            self.source_weights_[np.asarray(domains.source.sample_weight) > 0] = weights

    def _fit_once(self, source: Domain) -> np.ndarray:
        """Fit the plain estimator, where there is no target."""
        random_state, weights = check_random_state(self.random_state), source.sample_weight
        if weights is None or takes_sample_weight(self._inner()):
            fitted = clone(self._inner())
            seed_estimator(fitted, random_state)
            fit_weighted(fitted, source.X, source.y, weights)
        else:
            y, labels = source.labels, getattr(self, "classes_", None)
            fitted = fit_round(self._inner(), source.X, y, weights, random_state, labels)
        self.estimators_ = [fitted]
        self.estimator_weights_ = np.ones(1)
        self.estimator_errors_ = np.zeros(0)
        return np.ones(len(source))
