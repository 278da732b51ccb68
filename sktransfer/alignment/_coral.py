"""Correlation alignment: the source gets the target's covariance."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from sklearn.base import OneToOneFeatureMixin

from ..validation._constraints import Interval, Real
from ._base import BaseAligner, symmetric_power, weighted_mean_and_covariance


def coral_matrix(source_covariance, target_covariance, regularization: float) -> np.ndarray:
    """Return ``A = (C_S + r I)^(-1/2) (C_T + r I)^(1/2)``.

    Directions in which ``C_S + r I`` is zero (to rounding) are mapped to zero.

    Parameters
    ----------
    source_covariance, target_covariance : ndarray of shape (n_features, n_features)
    regularization : float
        The formula's ``r``.

    Returns
    -------
    ndarray of shape (n_features, n_features)
    """
    ridge = regularization * np.eye(len(source_covariance))
    floor = len(ridge) * np.finfo(float).eps * np.abs(source_covariance).max()
    whiten = symmetric_power(source_covariance + ridge, -0.5, floor)
    return whiten @ symmetric_power(target_covariance + ridge, 0.5)


class CORAL(OneToOneFeatureMixin, BaseAligner):
    """Give the source the mean and the covariance of the target.

    The source is whitened and coloured again as the target is, while the target stays
    as it is::

        source: (x - m_S) (C_S + r I)^(-1/2) (C_T + r I)^(1/2) + m_T        target: x

    with covariances divided by the number of rows. The paper supposes features that were
    standardised by domain (`DomainStandardScaler`) and sets ``r = 1``. Where features have
    other units, ``r = 1`` is much or nothing. One linear map for all classes: classes that
    moved in different ways, or whose shares differ, are not set right by it.

    Parameters
    ----------
    regularization : float, default=1.0
        The formula's ``r``, in squared units of the features. At 0 covariances become equal,
        and few rows decide directions in which the source hardly varies.
    align_means : bool, default=True
        Move the mean as well. False is the paper's map, ``x A``, for features that have
        mean zero in both domains.

    Attributes
    ----------
    matrix_ : ndarray of shape (n_features, n_features)
        The formula's matrix; without a target the identity.
    source_mean_, target_mean_ : ndarray of shape (n_features,)
        Means, zero where they are not aligned.
    n_target_rows_ : int
        Number of target rows in `fit`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Their names, where `X` had names of strings.

    See Also
    --------
    OptimalTransport : Its linear map also makes the covariances equal, and moves rows least.
    sktransfer.DeepCORALClassifier : Aligns features that a network learns meanwhile.

    Notes
    -----
    Sparse rows are read as they are, but what comes out is dense, in both domains:
    ``8 n_features (n_rows + 4 n_features)`` bytes.

    References
    ----------
    B. Sun, J. Feng, K. Saenko, "Return of Frustratingly Easy Domain Adaptation", AAAI 2016,
    algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.alignment import CORAL
    >>> rng = np.random.default_rng(0)
    >>> X, X_target = rng.normal(size=(200, 2)), rng.normal(size=(100, 2)) @ [[2, 1], [0, 1]]
    >>> aligned = CORAL(regularization=0.0).fit_transform(X, X_target=X_target)
    >>> np.allclose(np.cov(aligned.T, bias=True), np.cov(X_target.T, bias=True))
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "regularization": [Interval(Real, 0, None, closed="left")],
        "align_means": ["boolean"],
    }

    def __init__(self, *, regularization=1.0, align_means=True):
        self.regularization = regularization
        self.align_means = align_means

    def _learn(self, source, target):
        n_features = source.X.shape[1]
        self.source_mean_ = self.target_mean_ = np.zeros(n_features)
        self.matrix_ = np.eye(n_features)
        if target is None:
            return
        source_mean, source_covariance = weighted_mean_and_covariance(
            source.X, source.sample_weight
        )
        target_mean, target_covariance = weighted_mean_and_covariance(target.X)
        self.matrix_ = coral_matrix(source_covariance, target_covariance, self.regularization)
        if self.align_means:
            self.source_mean_, self.target_mean_ = source_mean, target_mean

    def _map_source(self, X):
        if not self.n_target_rows_:
            return self._map_target(X)
        # The mean is mapped by itself: sparse rows stay sparse until the product.
        offset = self.target_mean_ - self.source_mean_ @ self.matrix_
        return np.asarray(X @ self.matrix_) + offset

    def _map_target(self, X):
        return X.toarray() if hasattr(X, "toarray") else X.copy()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
