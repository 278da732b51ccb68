"""A linear autoencoder whose code is the description."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.linalg import eigh
from sklearn.preprocessing import normalize

from .._docs import with_shared_docs
from ..validation._constraints import Interval, Real, StrOptions
from ._base import BaseZeroShotClassifier


def solve_symmetric_sylvester(A: np.ndarray, B: np.ndarray, C: np.ndarray) -> np.ndarray:
    """Return the smallest ``W`` with ``A W + W B = C``, ``A`` and ``B`` positive semidefinite.

    With ``A = U a U'`` and ``B = V b V'`` it is ``U [(U'C V) / (a_i + b_j)] V'``, and 0 in
    directions where both are 0, as attributes or features that depend on others make them.
    """
    a, U = eigh(A)
    b, V = eigh(B)
    total = np.maximum(a, 0)[:, None] + np.maximum(b, 0)
    smallest = max(total.max(), np.finfo(float).tiny) * max(C.shape) * np.finfo(float).eps
    kept = total > smallest
    return U @ (np.where(kept, U.T @ C @ V, 0.0) / np.where(kept, total, 1.0)) @ V.T


@with_shared_docs
class SemanticAutoencoderClassifier(BaseZeroShotClassifier):
    """Encodes a row as its class's description, by weights that also decode it (SAE).

    For ``n`` rows less their mean as columns of ``X``, and their classes' descriptions as columns
    of ``S``, the weights ``W`` (n_attributes, n_features) ::

        min_W  1/n ||X - W'S||^2 + encoder_weight/n ||W X - S||^2

    solve ``S S' W + W (encoder_weight X X') = (1 + encoder_weight) S X'``. A class's score is the
    cosine of ``W (x - m)`` and its description, or of ``x - m`` and its decoded description.
    Standardise the columns before.

    Parameters
    ----------
    {descriptions_parameter}
    encoder_weight : float, default=1.0
        The paper's lambda.
    direction : {"encoder", "decoder"}, default="encoder"
        Where rows and descriptions are compared: among descriptions or among rows.
    {zero_shot_parameters}

    Attributes
    ----------
    coef_ : ndarray of shape (n_attributes, n_features)
        ``W``.
    mean_ : ndarray of shape (n_features,)
        ``m``.
    {zero_shot_attributes}

    Notes
    -----
    ``search="auto"`` chooses among ``encoder_weight`` 0.01, 0.1, 1, 10, 100.

    References
    ----------
    Kodirov, Xiang and Gong, "Semantic autoencoder for zero-shot learning", CVPR 2017, eq. 6 to 8.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.zeroshot import SemanticAutoencoderClassifier
    >>> rng = np.random.default_rng(0)
    >>> described = {k: rng.normal(size=4) for k in range(12)}
    >>> y = rng.integers(12, size=600)
    >>> X = np.array([described[k] for k in y]) @ rng.normal(size=(4, 8))
    >>> X += 0.1 * rng.normal(size=X.shape)
    >>> unseen = y >= 10
    >>> clf = SemanticAutoencoderClassifier(described).fit(X[~unseen], y[~unseen])
    >>> bool(clf.score(X[unseen], y[unseen]) > 0.95)
    True
    """

    _parameter_constraints: ClassVar = {
        **BaseZeroShotClassifier._parameter_constraints,
        "encoder_weight": [Interval(Real, 0, None, closed="neither")],
        "direction": [StrOptions({"encoder", "decoder"})],
    }
    _searchable = ("encoder_weight",)
    _default_grid: ClassVar = {"encoder_weight": [0.01, 0.1, 1.0, 10.0, 100.0]}

    def __init__(
        self,
        descriptions=None,
        *,
        encoder_weight=1.0,
        direction="encoder",
        candidates="unseen",
        calibration=0.0,
        search="auto",
        cv=None,
    ):
        self.descriptions = descriptions
        self.encoder_weight = encoder_weight
        self.direction = direction
        self.candidates = candidates
        self.calibration = calibration
        self.search = search
        self.cv = cv

    def _learn(self, X, codes, vectors) -> None:
        self.mean_ = X.mean(axis=0)
        X, S, weight = X - self.mean_, vectors[codes], float(self.encoder_weight)
        n_rows = len(X)
        self.coef_ = solve_symmetric_sylvester(
            S.T @ S / n_rows, weight * (X.T @ X) / n_rows, (1 + weight) * (S.T @ X) / n_rows
        )

    def _scores(self, X, vectors) -> np.ndarray:
        X = X - self.mean_
        if self.direction == "encoder":
            return normalize(X @ self.coef_.T) @ normalize(vectors).T
        return normalize(X) @ normalize(vectors @ self.coef_).T
