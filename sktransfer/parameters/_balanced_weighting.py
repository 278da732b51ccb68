"""Any estimator on both domains, with a weight on the target's loss."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.linear_model import LogisticRegression, Ridge

from .._docs import BLOCKS, with_shared_docs
from .._estimator import BaseTransferEstimator
from .._warning import warn
from .._wrapping import (
    DelegatingMixin,
    check_labelled_target,
    find_classes,
    fit_weighted,
    stack_rows,
)
from ..data._domain import Domain, Domains
from ..validation._constraints import Interval, Real

BLOCKS["balanced_weighting_text"] = """\
Parameters
----------
estimator : estimator or None, default=None
    Takes `sample_weight`, as may the last step of a `Pipeline`. None is
    `LogisticRegression` or `Ridge`.
target_weight : float, default=1.0
    The weight ``c`` of the target's mean loss, where that of the source has 1: 0 is the
    source alone, infinity the target alone. A dozen rows that weigh as much as hundreds are
    learned by heart: where the domains hardly differ, or rows have many columns, take less, or
    compare values on labelled rows that were held out.

Attributes
----------
estimator_ : estimator
    Fitted on both domains.
n_features_in_ : int
    Columns.

Notes
-----
The target needs labels for the rows that are to teach; rows without are not used. Without a
target, the plain estimator is fitted."""


def balance_weights(
    source: np.ndarray, n_target: int, target_weight: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return ``N s_i / ((1 + c) sum s)`` and ``N c / ((1 + c) m)`` with ``N = sum s + m``."""
    total = source.sum() + n_target
    of_target = 1.0 if np.isinf(target_weight) else target_weight / (1 + target_weight)
    return (
        source * (total * (1 - of_target) / source.sum()),
        np.full(n_target, total * of_target / n_target),
    )


class BaseBalancedWeighting(DelegatingMixin, BaseTransferEstimator):
    """Fits another estimator on the rows of both domains."""

    _parameter_constraints: ClassVar = {
        **DelegatingMixin._parameter_constraints,
        "target_weight": [Interval(Real, 0, np.inf, closed="both")],
    }

    def __init__(self, estimator=None, target_weight=1.0):
        self.estimator = estimator
        self.target_weight = target_weight

    def _fit(self, domains: Domains) -> None:
        target = check_labelled_target(self, domains)
        X, y, weights = domains.source.X, domains.source.y, domains.source.sample_weight
        if target is None and self._transfers():
            warn(
                f"{type(self).__name__} was fitted without X_target: the source was all it saw. "
                "Pass labelled rows of the target, fit(X, y, X_target=X_target, "
                "y_target=y_target)."
            )
        if target is not None:
            X, y, weights = self._join(domains.source, target)
        self.estimator_ = fit_weighted(self._make_estimator(), X, y, weights)

    def _transfers(self) -> bool:
        return super()._transfers() and self.target_weight > 0

    def _join(self, source: Domain, target: Domain) -> tuple[Any, Any, np.ndarray]:
        given = np.ones(len(source)) if source.sample_weight is None else source.sample_weight
        parts = balance_weights(given, len(target), self.target_weight)
        if self.target_weight == 0:  # a row that weighs nothing may still count for an estimator
            return source.X, source.y, parts[0]
        if np.isinf(self.target_weight):
            return target.X, target.y, parts[1]
        X, y = stack_rows(source.X, target.X), np.concatenate([source.y, target.y])
        return X, y, np.concatenate(parts)


@with_shared_docs
class BalancedWeightingClassifier(ClassifierMixin, BaseBalancedWeighting):
    """Any classifier on both domains, the target's loss weighed by `target_weight`.

    Few labelled rows of the target drown among those of the source; this gives them a say that does
    not depend on the numbers of rows::

        min_f  mean_source loss(f(x_i), y_i) + c mean_target loss(f(x_j), y_j)

    (`sample_weight` weighs the rows within the source). All weights are scaled to sum to the number
    of rows, so that an estimator's regularisation keeps its strength.

    {balanced_weighting_text}

    See Also
    --------
    PriorTransferClassifier : The source as a prior on the parameters.

    References
    ----------
    Wu and Dietterich, "Improving SVM accuracy by training on auxiliary data sources", ICML 2004.

    Examples
    --------
    >>> from sklearn.svm import SVC
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.parameters import BalancedWeightingClassifier
    >>> Xs, ys, Xt, yt = make_shifted_moons(200, rotation=60, random_state=0)
    >>> clf = BalancedWeightingClassifier(SVC(), target_weight=3.0)
    >>> clf = clf.fit(Xs, ys, X_target=Xt[:20], y_target=yt[:20])
    >>> clf.score(Xt[20:], yt[20:]) > SVC().fit(Xs, ys).score(Xt[20:], yt[20:])
    True
    """

    def _default_estimator(self) -> Any:
        return LogisticRegression(max_iter=1000)

    def _fit(self, domains: Domains) -> None:
        super()._fit(domains)
        target = check_labelled_target(self, domains)
        self.classes_ = getattr(self.estimator_, "classes_", find_classes(domains.source, target))


@with_shared_docs
class BalancedWeightingRegressor(RegressorMixin, BaseBalancedWeighting):
    """Any regressor on both domains, the target's loss weighed by `target_weight`.

    Few known values of the target drown among those of the source; this gives them a say that does
    not depend on the numbers of rows::

        min_f  mean_source loss(f(x_i), y_i) + c mean_target loss(f(x_j), y_j)

    (`sample_weight` weighs the rows within the source). All weights are scaled to sum to the number
    of rows, so that an estimator's regularisation keeps its strength.

    {balanced_weighting_text}

    See Also
    --------
    PriorTransferRegressor : The source as a prior on the parameters.

    References
    ----------
    Wu and Dietterich, "Improving SVM accuracy by training on auxiliary data sources", ICML 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.parameters import BalancedWeightingRegressor
    >>> X, X_target = np.linspace(0, 1, 100)[:, None], np.linspace(0, 1, 10)[:, None]
    >>> reg = BalancedWeightingRegressor(target_weight=1.0)
    >>> reg = reg.fit(X, X[:, 0], X_target=X_target, y_target=X_target[:, 0] + 1)
    >>> reg.predict([[0.5]]).round(2)  # in the middle of 0.5 and 1.5
    array([1.])
    """

    def _default_estimator(self) -> Any:
        return Ridge()
