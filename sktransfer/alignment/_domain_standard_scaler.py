"""Each domain standardised by its own statistics."""

from __future__ import annotations

from typing import ClassVar

from sklearn.base import OneToOneFeatureMixin
from sklearn.preprocessing import StandardScaler

from ._base import BaseAligner


class DomainStandardScaler(OneToOneFeatureMixin, BaseAligner):
    """Standardise each domain by its own mean and standard deviation.

    Where domains differ by an offset and a gain of each feature, as sensors and cameras
    do, nothing else is needed; it is the baseline for every other method, and the first
    step before most::

        source: (x - m_S) / s_S        target: (x - m_T) / s_T

    with standard deviations divided by the number of rows; of a constant feature
    it is taken for 1. Shares of classes that differ between the domains are taken for a
    shift of the features, and removed as such: then it does harm. So it does where features
    hardly vary (pixels at the border, rare words), which become as large as the rest: .025 of
    accuracy on digits and objects as pixels.

    Parameters
    ----------
    with_mean : bool, default=True
        Subtract the mean. False takes sparse rows and leaves them sparse.
    with_std : bool, default=True
        Divide by the standard deviation.

    Attributes
    ----------
    source_scaler_, target_scaler_ : StandardScaler
        The map of each domain; without a target the second is the first.
    n_target_rows_ : int
        Number of target rows in `fit`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Their names, where `X` had names of strings.

    See Also
    --------
    CORAL : Covariances are aligned, too.

    References
    ----------
    The z-score by domain is the first step of CORAL: B. Sun, J. Feng, K. Saenko, "Return of
    Frustratingly Easy Domain Adaptation", AAAI 2016, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.alignment import DomainStandardScaler
    >>> X = np.array([[0.0], [2.0]])
    >>> scaler = DomainStandardScaler()
    >>> scaler.fit_transform(X, X_target=10 * X + 5)
    array([[-1.],
           [ 1.]])
    >>> scaler.transform([[15.0]])
    array([[0.]])
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "with_mean": ["boolean"],
        "with_std": ["boolean"],
    }

    def __init__(self, *, with_mean=True, with_std=True):
        self.with_mean = with_mean
        self.with_std = with_std

    def _learn(self, source, target):
        scalers = [
            StandardScaler(with_mean=self.with_mean, with_std=self.with_std).fit(
                domain.X, sample_weight=domain.sample_weight
            )
            for domain in (source, target)
            if domain is not None
        ]
        self.source_scaler_, self.target_scaler_ = scalers[0], scalers[-1]

    def _map_source(self, X):
        return self.source_scaler_.transform(X)

    def _map_target(self, X):
        return self.target_scaler_.transform(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = not self.with_mean
        return tags
