"""Ridge regression with a prior centred on the source's parameters."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.utils.extmath import safe_sparse_dot

from .._docs import with_shared_docs
from .._estimator import BaseTransferEstimator
from ..data._domain import Domain, Domains
from ..validation._domains import check_domains, check_rows_to_predict
from ._priors import PRIOR_CONSTRAINTS, PriorMixin, read_coefficients
from ._ridge import center, deviations

# Strengths that are tried, times the mean square of a row's centred features.
STRENGTHS = (*np.logspace(-4, 4, 17), np.inf)


@with_shared_docs
class PriorTransferRegressor(PriorMixin, RegressorMixin, BaseTransferEstimator):
    """Linear regression on few values of the target, with a prior centred on the source's line.

    The target's coefficients ``w`` are drawn to those of the source, ``w_S``, instead of to zero::

        min_{w, b}  1/m sum_j (y_j - x_j'w - b)^2 + strength ||w - w_S||^2

    for ``m`` rows of the target. Strength 0 is the target alone (least squares), an infinite one
    the source's coefficients with an intercept for the target. The intercept is not drawn anywhere,
    unless `shrink_intercept` says so. The best strength has the least leave-one-out error, in
    closed form.

    Parameters
    ----------
    {prior_source_parameter}
    strength : "auto" or float, default="auto"
        Of the prior, from 0 to infinity. "auto" takes the best of 18, from 1e-4 to 1e4 times the
        mean square of the target's rows (centred), and infinity, by their leave-one-out error.
        Where the target has a single row, it is infinity.
    shrink_intercept : bool, default=False
        Draw the intercept to the source's, too, as one coefficient more: an infinite strength then
        is the source's model itself.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients ``w``.
    intercept_ : float
        Intercept ``b``.
    {prior_attributes}

    See Also
    --------
    BalancedWeightingRegressor : For estimators that have no coefficients.

    References
    ----------
    Chelba and Acero, "Adaptation of maximum entropy capitalizer: little data can help a lot",
    Computer Speech & Language 20 (2006), eq. 10. Leave-one-out: Cawley and Talbot, Neural Networks
    17 (2004).

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.parameters import PriorTransferRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, X_target = rng.normal(size=(500, 20)), rng.normal(size=(15, 20))
    >>> w = rng.normal(size=20)
    >>> y, y_target = X @ w, X_target @ (w + 0.1) + 5
    >>> reg = PriorTransferRegressor().fit(X, y, X_target=X_target, y_target=y_target)
    >>> bool(abs(reg.coef_ - w - 0.1).max() < 0.3), bool(abs(reg.intercept_ - 5) < 0.3)
    (True, True)
    """

    _parameter_constraints: ClassVar = PRIOR_CONSTRAINTS

    def __init__(self, source=None, *, strength="auto", shrink_intercept=False):
        self.source = source
        self.strength = strength
        self.shrink_intercept = shrink_intercept

    def _default_source(self) -> Any:
        return Ridge()

    def _check(self, fitted, X, y, X_target, y_target, sample_weight) -> Domains:
        return check_domains(
            fitted, X, y, X_target, y_target, sample_weight, dtype=[np.float64, np.float32]
        )

    def _fit(self, domains: Domains) -> None:
        self.source_, target = self._split(domains)
        coef, intercept = read_coefficients(self.source_, self.n_features_in_)
        if coef.shape[0] != 1:
            raise ValueError(
                f"source has coefficients of {coef.shape[0]} outputs; PriorTransferRegressor takes "
                "one. Fit one for each."
            )
        self.coef_, self.intercept_, self.strength_ = coef[0], float(intercept[0]), np.inf
        if target is not None:
            self._learn(target)

    def _learn(self, target: Domain) -> None:
        n_rows, weights = len(target), target.sample_weight
        shares = np.full(n_rows, 1 / n_rows) if weights is None else weights / weights.sum()
        X, y, X_mean, y_mean = center(
            target.X, np.asarray(target.y), shares, not self.shrink_intercept
        )
        prior, offset = self.coef_, self.intercept_ if self.shrink_intercept else 0.0
        rows = X
        if self.shrink_intercept:
            rows = np.column_stack([X, np.ones(n_rows)])
        residuals = y - X @ prior - offset
        strengths: Any = [self.strength]
        if self.strength == "auto":
            size = max(float(shares @ (rows**2).sum(axis=1)), np.finfo(float).tiny)
            strengths = np.multiply(STRENGTHS, size) if n_rows > 1 else [np.inf]
        coefs, errors = deviations(rows, residuals, shares, strengths, not self.shrink_intercept)
        best = int(np.argmin(errors)) if len(strengths) > 1 else 0
        self.strength_, deviation = float(strengths[best]), coefs[best]
        if self.shrink_intercept:
            self.intercept_ += float(deviation[-1])
            deviation = deviation[:-1]
        self.coef_ = prior + deviation
        if not self.shrink_intercept:
            self.intercept_ = float(y_mean - X_mean @ self.coef_)

    def predict(self, X):
        """Predict values.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows of the target.

        Returns
        -------
        ndarray of shape (n_rows,)
            ``x'w + b``.
        """
        X = check_rows_to_predict(self, X, dtype=[np.float64, np.float32])
        return safe_sparse_dot(X, self.coef_) + self.intercept_
