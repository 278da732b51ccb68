"""What models share whose prior is a source's parameters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import clone

from .._docs import BLOCKS
from .._warning import warn
from .._wrapping import check_labelled_target, fit_weighted, is_fitted
from ..data._domain import Domain, Domains
from ..validation._constraints import HasMethods, Interval, Real, StrOptions

PRIOR_CONSTRAINTS: dict[str, list[object]] = {
    "source": [None, HasMethods(["fit", "predict"])],
    "strength": [StrOptions({"auto"}), Interval(Real, 0, np.inf, closed="both")],
    "shrink_intercept": ["boolean"],
}

BLOCKS["prior_source_parameter"] = """\
source : linear estimator or None, default=None
    Has ``coef_`` and ``intercept_`` once it is fitted. An unfitted one is cloned and fitted on the
    source; None is `LogisticRegression` or `Ridge`. A fitted one is taken as it is: then ``fit(X,
    y)`` gets the rows of the *target*, and no `X_target`. A search clones what it fits, so wrap
    a fitted one there: ``FrozenEstimator(source)``."""

BLOCKS["prior_attributes"] = """\
strength_ : float
    What was given or chosen; infinity where there was no target.
source_ : estimator
    The fitted source.
n_features_in_ : int
    Columns.

Notes
-----
The target needs labels for the rows that are to teach; rows without are not used. Without a
target, the model is the source's."""


def read_coefficients(source: Any, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients (n_outputs, n_features) and intercepts (n_outputs,) of a linear model.

    Raises
    ------
    TypeError, ValueError
        Where it has none, or others than the rows have columns.
    """
    if not hasattr(source, "coef_"):
        raise TypeError(
            f"source is {type(source).__name__}, which has no coef_ that could be a prior. Give a "
            "linear model such as LogisticRegression or Ridge; steps before it belong in "
            "make_transfer_pipeline(StandardScaler(), PriorTransferClassifier())."
        )
    coef = np.atleast_2d(np.asarray(source.coef_, dtype=np.float64))
    if coef.shape[1] != n_features:
        raise ValueError(
            f"source has {coef.shape[1]} coefficients, but X has {n_features} features. Both must "
            "know the same columns."
        )
    intercept = np.atleast_1d(np.asarray(source.intercept_, dtype=np.float64))
    return coef, np.broadcast_to(intercept, len(coef)).copy()


class PriorMixin:
    """Takes a source's parameters and what rows of the target there are."""

    source: Any
    _transfers: Callable[[], bool]

    @abstractmethod
    def _default_source(self) -> Any:
        """Return what is fitted on the source where `source` is None."""

    def _split(self, domains: Domains) -> tuple[Any, Domain | None]:
        """Return the fitted source and the labelled target."""
        if self.source is not None and is_fitted(self.source):
            if domains.target is not None:
                raise ValueError(
                    f"source is a fitted {type(self.source).__name__}, so there is nothing to "
                    "learn from rows of the source: call fit(X_target, y_target), or give an "
                    "unfitted one."
                )
            return self.source, domains.source if self._transfers() else None
        target = check_labelled_target(self, domains)
        if target is None and self._transfers():
            warn(
                f"{type(self).__name__} was fitted without X_target: it is the source's model. "
                "Pass labelled rows of the target, fit(X, y, X_target=X_target, "
                "y_target=y_target)."
            )
        source = self._default_source() if self.source is None else clone(self.source)
        rows = domains.source
        return fit_weighted(source, rows.X, rows.y, rows.sample_weight), target

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        return tags
