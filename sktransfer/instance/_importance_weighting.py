"""Any estimator on a source that is weighed like the target."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin, clone
from sklearn.linear_model import LogisticRegression, Ridge

from .._docs import BLOCKS, with_shared_docs
from .._estimator import BaseTransferEstimator
from .._warning import warn
from .._wrapping import DelegatingMixin, find_classes, fit_weighted, stack_rows
from ..data._domain import Domain, Domains
from ..validation._constraints import HasMethods, StrOptions
from ._density_ratio import BaseDensityRatio
from ._kliep import KLIEP
from ._kmm import KMM
from ._logistic_ratio import LogisticRatio
from ._rows import effective_size
from ._ulsif import ULSIF

# Below this share of the rows, few decide alone.
LEAST_EFFECTIVE_SHARE = 0.05

# A ratio of densities has mean 1 over the source. Beyond this, or below its inverse, it was
# extrapolated: Gaussians four standard deviations apart have 0.05 to 0.2, or 10 and more.
MOST_MEAN_RATIO = 5.0

# Weights are at least this: some estimators refuse a class whose rows all weigh nothing.
LEAST_WEIGHT = 1e-8

WEIGHTINGS: dict[str, Any] = {
    "kliep": KLIEP,
    "kmm": KMM,
    "logistic": LogisticRatio,
    "ulsif": ULSIF,
}

BLOCKS["importance_weighting_text"] = """\
Parameters
----------
estimator : estimator or None, default=None
    Takes `sample_weight`, as may the last step of a `Pipeline`. None is
    `LogisticRegression` or `Ridge`.
weighting : {"ulsif", "kliep", "kmm", "logistic"} or estimator, default="ulsif"
    Estimates the ratio: `ULSIF`, `KLIEP`, `KMM`, `LogisticRatio`, or any estimator with
    ``fit(X, X_target=, sample_weight=)`` and ``weights_``.
random_state : int, RandomState instance or None, default=None
    Of a weighting given by name.

Attributes
----------
estimator_ : estimator
    Fitted with the weights.
weighting_ : estimator
    Fitted on both domains; missing where there was no target.
weights_ : ndarray of shape (n_source,)
    What the source's rows were weighed with.
effective_size_ : float
    ``(sum w)^2 / sum w^2``. Below 5 % of the rows a warning says so.
n_features_in_ : int
    Columns."""


def scale_weights(ratio: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    """Return ``c s w`` with ``c`` such that the weights sum to what ``s`` does.

    An estimator's regularisation then has the strength it has without weights.
    """
    given = np.ones(len(ratio)) if sample_weight is None else sample_weight
    weights = given * np.maximum(ratio, LEAST_WEIGHT)
    return weights * (given.sum() / weights.sum())


class BaseImportanceWeighting(DelegatingMixin, BaseTransferEstimator):
    """Estimates weights of the source's rows and fits another estimator with them."""

    _parameter_constraints: ClassVar = {
        **DelegatingMixin._parameter_constraints,
        "weighting": [StrOptions(set(WEIGHTINGS)), HasMethods("fit")],
        "random_state": ["random_state"],
    }

    _computes_with_rows: ClassVar = True

    def __init__(self, estimator=None, weighting="ulsif", *, random_state=None):
        self.estimator = estimator
        self.weighting = weighting
        self.random_state = random_state

    def _fit(self, domains: Domains) -> None:
        source, target = domains.source, domains.target
        X, y, weights = source.X, source.y, source.sample_weight
        if target is None and self._transfers():
            warn(
                f"{type(self).__name__} was fitted without X_target: rows keep the weights they "
                "have. Pass the target's rows, fit(X, y, X_target=X_target)."
            )
        if target is None:
            self.weights_ = np.ones(len(source)) if weights is None else weights
        else:
            self.weighting_ = self._make_weighting()
            self.weighting_.fit(X, X_target=target.X, sample_weight=weights)
            weights = scale_weights(np.asarray(self.weighting_.weights_), weights)
            self.weights_ = weights
            if target.y is not None:  # rows of the target itself need no ratio
                labelled = target.labelled()
                X, y = stack_rows(X, labelled.X), np.concatenate([y, labelled.y])
                weights = np.concatenate([weights, np.ones(len(labelled))])
        self.effective_size_ = effective_size(self.weights_)
        if target is not None:
            self._warn_where_domains_lie_apart(source)
        self.estimator_ = fit_weighted(self._make_estimator(), X, y, weights)

    def _warn_where_domains_lie_apart(self, source: Domain) -> None:
        """Warn of weights by which few rows decide, and of a ratio that is none of densities."""
        if self.effective_size_ < LEAST_EFFECTIVE_SHARE * len(source):
            warn(
                f"The weights of {len(source)} rows are worth {self.effective_size_:.1f} equal "
                "ones: few rows decide. The domains hardly overlap; flatten the weights, for "
                "example weighting=ULSIF(alpha=0.5), or align the domains first."
            )
        elif isinstance(self.weighting_, BaseDensityRatio):
            mean = np.average(self.weighting_.weights_, weights=source.sample_weight)
            if not 1 / MOST_MEAN_RATIO <= mean <= MOST_MEAN_RATIO:
                warn(
                    f"The weights of the source have mean {mean:.2g}, where a ratio of densities "
                    "has 1: hardly a row of the source looks like the target's, and the weights "
                    "say little. Align the domains first, make_transfer_pipeline("
                    f"DomainStandardScaler(), {type(self).__name__}()), and compare with the "
                    "estimator without weights."
                )

    def _make_weighting(self) -> Any:
        if isinstance(self.weighting, str):
            return WEIGHTINGS[self.weighting](random_state=self.random_state)
        return clone(self.weighting)


@with_shared_docs
class ImportanceWeightingClassifier(ClassifierMixin, BaseImportanceWeighting):
    """Any classifier, fitted on a source whose rows count as often as the target has their like.

    Take it for simple models, few columns and domains that overlap. With hundreds of columns
    every target row is far from all of the source, and weights only lose rows: align the
    domains instead (`CORAL`).

    Under covariate shift, where rows are distributed differently but a row's class depends on it
    in the same way, the risk on the target is that on the source with weights ::

        w(x) = p_target(x) / p_source(x)
        min_f  1/n sum_i s_i w(x_i) loss(f(x_i), y_i)

    with ``s`` the user's `sample_weight`. The products are scaled to the sum of ``s``. Labelled
    rows of the target, where there are any, join with weight 1.

    {importance_weighting_text}
    classes_ : ndarray of shape (n_classes,)
        Labels.

    See Also
    --------
    LabelShiftClassifier : For shares of classes that differ, and rows of a class that do not.

    Notes
    -----
    In hundreds of dimensions weights may harm: on eleven tasks with 256 to 2,000 columns (texts,
    digits, photos, spectra; logistic regression) they moved the accuracy on the target by -.025
    (uLSIF), -.031 (KLIEP), -.024 (KMM) and -.004 (logistic) in the mean, those of
    ``ULSIF(alpha=0.5)`` by .000.

    References
    ----------
    Shimodaira, "Improving predictive inference under covariate shift by weighting the
    log-likelihood function", Journal of Statistical Planning and Inference 90 (2000), eq. 1.5.

    Examples
    --------
    >>> from sklearn.svm import SVC
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.instance import ImportanceWeightingClassifier
    >>> Xs, ys, Xt, yt = make_shifted_moons(200, random_state=0)
    >>> clf = ImportanceWeightingClassifier(SVC(), random_state=0).fit(Xs, ys, X_target=Xt)
    >>> clf.weights_.shape, clf.predict(Xt).shape
    ((200,), (200,))
    """

    def _default_estimator(self) -> Any:
        return LogisticRegression(max_iter=1000)

    def _fit(self, domains: Domains) -> None:
        self.classes_ = find_classes(
            domains.source,
            None
            if domains.target is None or domains.target.y is None
            else domains.target.labelled(),
        )
        super()._fit(domains)


@with_shared_docs
class ImportanceWeightingRegressor(RegressorMixin, BaseImportanceWeighting):
    """Any regressor, fitted on a source whose rows count as often as the target has their like.

    Under covariate shift, where rows are distributed differently but values depend on them in the
    same way, the risk on the target is that on the source with weights ::

        w(x) = p_target(x) / p_source(x)
        min_f  1/n sum_i s_i w(x_i) loss(f(x_i), y_i)

    with ``s`` the user's `sample_weight`. The products are scaled to the sum of ``s``. Labelled
    rows of the target, where there are any, join with weight 1. A model that can be right
    everywhere needs no weights; they matter for one that must choose where to be right, such as a
    line.

    {importance_weighting_text}

    References
    ----------
    Shimodaira, "Improving predictive inference under covariate shift by weighting the
    log-likelihood function", Journal of Statistical Planning and Inference 90 (2000), eq. 1.5.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.instance import ImportanceWeightingRegressor
    >>> X, X_target = np.linspace(0, 3, 100)[:, None], np.linspace(2, 3, 50)[:, None]
    >>> y = X[:, 0] ** 2
    >>> reg = ImportanceWeightingRegressor(random_state=0).fit(X, y, X_target=X_target)
    >>> bool(reg.estimator_.coef_[0] > 4)  # of the unweighted line it is 3
    True
    """

    def _default_estimator(self) -> Any:
        return Ridge()
