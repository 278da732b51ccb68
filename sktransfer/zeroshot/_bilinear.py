"""Embarrassingly simple zero-shot learning."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.linalg import solve
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.preprocessing import KernelCenterer

from .._docs import with_shared_docs
from ..validation._constraints import Interval, Real, StrOptions
from ._base import BaseZeroShotClassifier

POSITIVE = [Interval(Real, 0, None, closed="neither")]


def solve_bilinear(
    gram: np.ndarray, XY: np.ndarray, S: np.ndarray, feature_penalty: float, class_penalty: float
) -> np.ndarray:
    """Return ``(gram + g I)^-1 XY S (S'S / K + l I)^-1`` for ``K`` rows of ``S``."""
    left = solve(gram + feature_penalty * np.eye(len(gram)), XY @ S, assume_a="pos")
    right = S.T @ S / len(S) + class_penalty * np.eye(S.shape[1])
    return solve(right, left.T, assume_a="pos").T


@with_shared_docs
class ESZSLClassifier(BaseZeroShotClassifier):
    """A bilinear form of rows and descriptions, in closed form (ESZSL).

    A row's score of a class is ``(x - m)'V s`` with its description ``s``. For ``n`` rows less
    their mean ``m``, labels ``Y`` (n, K) of -1 and 1, and descriptions ``S`` (K, n_attributes) of
    the ``K`` seen classes::

        V = (X'X / n + feature_penalty I)^-1  X'Y S / n  (S'S / K + class_penalty I)^-1

    and with a kernel, centred, ``V = Phi'A``::

        A = (K(X, X) + n feature_penalty I)^-1  Y S  (S'S / K + class_penalty I)^-1

    The penalties are the paper's, divided by ``n`` and ``K``, so that they keep their meaning on
    other numbers of rows. Standardise the columns before.

    Parameters
    ----------
    {descriptions_parameter}
    feature_penalty : float, default=1.0
        On what a description makes of the features.
    class_penalty : float, default=0.1
        On what a row makes of the attributes.
    kernel : {"linear", "rbf", "poly", "sigmoid", "cosine"}, default="linear"
        Of rows. All but "linear" take memory of ``n^2``.
    kernel_gamma : float or None, default=None
        ``gamma`` of the kernels "rbf", "poly" and "sigmoid"; None is 1 / n_features.
    {zero_shot_parameters}

    Attributes
    ----------
    coef_ : ndarray of shape (n_features, n_attributes) or (n_rows, n_attributes)
        ``V``, or ``A`` with a kernel.
    {zero_shot_attributes}

    Notes
    -----
    ``search="auto"`` chooses among ``feature_penalty`` 0.01, 0.1, 1, 10 and ``class_penalty`` 0.01,
    0.1, 1.

    References
    ----------
    Romera-Paredes and Torr, "An embarrassingly simple approach to zero-shot learning", ICML 2015,
    eq. 6 and section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.zeroshot import ESZSLClassifier
    >>> rng = np.random.default_rng(0)
    >>> described = {k: [k & 1, k >> 1 & 1, k >> 2 & 1] for k in range(8)}
    >>> y = rng.integers(8, size=400)
    >>> X = np.array([described[k] for k in y]) @ rng.normal(size=(3, 6))
    >>> X += 0.1 * rng.normal(size=X.shape)
    >>> unseen = np.isin(y, [2, 5])
    >>> clf = ESZSLClassifier(described).fit(X[~unseen], y[~unseen])
    >>> bool(clf.score(X[unseen], y[unseen]) > 0.95)
    True
    """

    _parameter_constraints: ClassVar = {
        **BaseZeroShotClassifier._parameter_constraints,
        "feature_penalty": POSITIVE,
        "class_penalty": POSITIVE,
        "kernel": [StrOptions({"linear", "rbf", "poly", "sigmoid", "cosine"})],
        "kernel_gamma": [*POSITIVE, None],
    }
    _searchable = ("feature_penalty", "class_penalty")
    _default_grid: ClassVar = {
        "feature_penalty": [0.01, 0.1, 1.0, 10.0],
        "class_penalty": [0.01, 0.1, 1.0],
    }

    def __init__(
        self,
        descriptions=None,
        *,
        feature_penalty=1.0,
        class_penalty=0.1,
        kernel="linear",
        kernel_gamma=None,
        candidates="unseen",
        calibration=0.0,
        search="auto",
        cv=None,
    ):
        self.descriptions = descriptions
        self.feature_penalty = feature_penalty
        self.class_penalty = class_penalty
        self.kernel = kernel
        self.kernel_gamma = kernel_gamma
        self.candidates = candidates
        self.calibration = calibration
        self.search = search
        self.cv = cv

    def _learn(self, X, codes, vectors) -> None:
        n_rows = len(X)
        Y = np.where(codes[:, None] == np.arange(len(vectors)), 1.0, -1.0)
        if self.kernel == "linear":
            self.mean_ = X.mean(axis=0)
            X = X - self.mean_
            gram, XY = X.T @ X / n_rows, X.T @ Y / n_rows
        else:
            self.rows_ = X
            self.centerer_ = KernelCenterer().fit(self._kernel(X))
            # K + n g I, all divided by n
            gram, XY = self.centerer_.transform(self._kernel(X)) / n_rows, Y / n_rows
        self.coef_ = solve_bilinear(
            gram, XY, vectors, float(self.feature_penalty), float(self.class_penalty)
        )

    def _scores(self, X, vectors) -> np.ndarray:
        if self.kernel == "linear":
            return (X - self.mean_) @ (self.coef_ @ vectors.T)
        return self.centerer_.transform(self._kernel(X)) @ (self.coef_ @ vectors.T)

    def _kernel(self, X) -> Any:
        return pairwise_kernels(
            X, self.rows_, metric=self.kernel, filter_params=True, gamma=self.kernel_gamma
        ).astype(np.float64)
