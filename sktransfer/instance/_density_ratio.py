"""What estimators of importance weights share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import check_random_state

from .._estimator import BaseTransferEstimator
from .._warning import warn
from ..data._domain import Domain, Domains
from ..data._spread import warn_where_columns_outweigh
from ..validation._domains import check_domains, check_rows_to_predict
from ._rows import effective_size

KERNEL_TYPES: Any = [np.float64, np.float32]

# A ratio up to this is taken for none; where one of 0 needs a logarithm, it counts as this.
LEAST_RATIO = 1e-12


class BaseDensityRatio(BaseTransferEstimator):
    """Estimates ``p_target(x) / p_source(x)``, by which rows of the source are to be weighed."""

    _parameter_constraints: ClassVar = {"random_state": ["random_state"]}

    random_state: Any

    _measures_distances: ClassVar = True

    @abstractmethod
    def _estimate(self, source: Domain, X_target: Any, random_state: Any) -> np.ndarray:
        """Learn from both domains, and return the ratio at the rows of the source."""

    @abstractmethod
    def _ratio(self, X: Any) -> np.ndarray:
        """Return the ratio at new rows."""

    def _check(self, fitted, X, y, X_target, y_target, sample_weight) -> Domains:
        return check_domains(fitted, X, y, X_target, y_target, sample_weight, dtype=KERNEL_TYPES)

    def _fit(self, domains: Domains) -> None:
        source = domains.source
        self.n_target_ = 0 if domains.target is None else len(domains.target)
        if domains.target is None and self._transfers():
            warn(
                f"{type(self).__name__} was fitted without X_target: all weights are 1. Pass the "
                "target's rows, fit(X, X_target=X_target)."
            )
        self.weights_ = np.ones(len(source))
        if domains.target is not None:
            self._weigh(source, domains.target.X)
        given = 1.0 if source.sample_weight is None else source.sample_weight
        self.effective_size_ = effective_size(given * self.weights_)

    def _weigh(self, source: Domain, X_target: Any) -> None:
        """Set the weights; rows that weigh nothing teach nothing, and get theirs as new rows do."""
        if self._measures_distances:
            warn_where_columns_outweigh(self, source.X, "distances hardly show")
        seen = source.weighted()
        weights = self._estimate(seen, X_target, check_random_state(self.random_state))
        if weights.max() <= LEAST_RATIO:
            warn(
                f"{type(self).__name__} found no row of the source that is like the target's: all "
                "weights would be 0, so all are 1. Scale the features, or align the domains first."
            )
        elif seen is source:
            self.weights_ = weights
        else:
            weighs = np.asarray(source.sample_weight) > 0
            self.weights_[weighs], self.weights_[~weighs] = weights, self._ratio(source.X[~weighs])

    def predict(self, X):
        """Return the weights of rows of the source.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows, not necessarily those of `fit`.

        Returns
        -------
        ndarray of shape (n_rows,)
            Estimates of ``p_target(x) / p_source(x)``, 0 or greater.
        """
        X = check_rows_to_predict(self, X, dtype=KERNEL_TYPES)
        return np.ones(X.shape[0]) if self.n_target_ == 0 else self._ratio(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def normalized(sample_weight: np.ndarray | None, n_rows: int) -> np.ndarray:
    """Return the share of each row in a domain; the shares sum to 1."""
    if sample_weight is None:
        return np.full(n_rows, 1 / n_rows)
    return sample_weight / sample_weight.sum()
