"""Components that keep the variance of both domains and lose what tells them apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
from sklearn.kernel_approximation import Nystroem
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.utils import gen_batches
from sklearn.utils.extmath import svd_flip

from ..data._domain import Domain

KERNELS = ("cosine", "laplacian", "linear", "rbf")

# Kernels that are computed together where rows are mapped: 64 MB.
KERNELS_AT_ONCE = 2**23


class KernelMap:
    """Features whose linear combinations are those of a kernel's columns.

    ``K W`` over n rows is ``F V`` with features F of fewer columns and the same norm of W
    and V: K itself, for a linear kernel the p features, or Nystroem's approximation from
    some rows. None for a kernel stands for the features as they are.

    Parameters
    ----------
    kernel : {"cosine", "laplacian", "linear", "rbf"} or None
    gamma : float or None
        None is ``1 / (n_features * variance of all values)``.
    n_landmarks : int or None
        Most rows of which a kernel's columns are computed.
    random_state : int, RandomState instance or None
        Which rows these are.
    """

    basis: Any = None
    weights: Any = None
    nystroem: Any = None
    turn: Any = None

    def __init__(self, kernel, gamma, n_landmarks, random_state):
        self.kernel, self.gamma = kernel, gamma
        self.n_landmarks, self.random_state = n_landmarks, random_state

    def fit(self, X: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the features of distinct rows, of which each stands for `weights` rows."""
        if self.gamma is None:
            self.gamma = _gamma_by_scale(X, weights)
        n_rows = len(X)
        if self.kernel is None:
            return X
        if self.kernel == "linear" and X.shape[1] < n_rows:
            return self._turn(X, weights)
        if self.n_landmarks is None or n_rows <= self.n_landmarks:
            self.basis, self.weights = X, np.sqrt(weights)
            return self.transform(X)
        self.nystroem = Nystroem(
            self.kernel,
            n_components=self.n_landmarks,
            random_state=self.random_state,
            **self._arguments(),
        )
        return self._turn(self.nystroem.fit_transform(X), weights)

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the features of rows."""
        if self.basis is not None:
            kernel = pairwise_kernels(X, self.basis, metric=self.kernel, **self._arguments())
            kernel *= self.weights
            return kernel
        Z = X if self.nystroem is None else self.nystroem.transform(X)
        return Z if self.turn is None else Z @ self.turn

    def project(self, X: np.ndarray, components: np.ndarray) -> np.ndarray:
        """Return ``transform(X) @ components``, a block of kernels at a time."""
        if self.turn is not None:
            components = self.turn @ components
        if self.nystroem is not None:
            components = self.nystroem.normalization_.T @ components
            landmarks = self.nystroem.components_
        elif self.basis is not None:
            components = self.weights[:, None] * components
            landmarks = self.basis
        else:
            return X @ components
        projected = np.empty((len(X), components.shape[1]))
        for rows in gen_batches(len(X), max(1, KERNELS_AT_ONCE // len(landmarks))):
            kernel = pairwise_kernels(X[rows], landmarks, metric=self.kernel, **self._arguments())
            projected[rows] = kernel @ components
        return projected

    def _turn(self, Z: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return ``Z V S``: with ``sqrt(weights) Z = Q S V'``, the kernel is ``Q S S Q'``."""
        scaled = Z * np.sqrt(weights)[:, None]
        values, vectors = np.linalg.eigh(scaled.T @ scaled)
        self.turn = vectors * np.sqrt(np.maximum(values, 0.0))
        return Z @ self.turn

    def _arguments(self) -> dict[str, float]:
        return {"gamma": self.gamma} if self.kernel in {"rbf", "laplacian"} else {}


def _gamma_by_scale(X, weights) -> float:
    shares = weights / weights.sum() / X.shape[1]
    mean = (shares @ X).sum()
    variance = (shares @ (X - mean) ** 2).sum()
    return 1.0 / (X.shape[1] * variance) if variance > 0 else 1.0


def stack_domains(source: Domain, target: Domain | None):
    """Return the merged rows of both domains, the weight of each, and which are the source's."""
    parts = [source] if target is None else [source, target]
    rows = np.concatenate([part.X for part in parts])
    weights = np.concatenate([part.sample_weight for part in parts])
    return rows, weights, np.arange(len(rows)) < len(source)


def mean_difference(weights: np.ndarray, in_source, in_target) -> np.ndarray | None:
    """Return d with ``d' F`` the difference of two weighted means; None where one is empty."""
    if not in_source.any() or not in_target.any():
        return None
    source, target = weights * in_source, weights * in_target
    return source / source.sum() - target / target.sum()


def transfer_components(features, weights, differences, regularization, n_components):
    """Return the combinations V of features that vary most and differ least.

    ``max tr V'F'HFV`` subject to ``V' (F' D D' F + mu I) V = I``, with rows counted by
    their weights, H the centring and D the differences. Columns of V then get one length,
    at which the mean variance of the components is 1. The metric on the right differs
    from ``mu I`` by few directions, whose singular values give its inverse root: what
    remains is a symmetric eigenproblem.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features)
    weights : ndarray of shape (n_rows,)
    differences : ndarray of shape (n_rows, n_differences)
        Each column gives a difference of means.
    regularization : float
        The formula's ``mu``.
    n_components : int
        Most components; those that do not vary are left out, unless none is left.

    Returns
    -------
    ndarray of shape (n_features, at most n_components)
    """
    n_features = features.shape[1]
    mean = weights @ features / weights.sum()
    scatter = features - mean
    scatter *= np.sqrt(weights)[:, None]
    scatter = scatter.T @ scatter
    directions, singular, _ = scipy.linalg.svd(features.T @ differences, full_matrices=False)
    shrink = 1.0 / np.sqrt(singular**2 + regularization) - 1.0 / np.sqrt(regularization)
    root = 1.0 / np.sqrt(regularization)

    def divide(matrix):
        """Multiply by the metric's inverse root."""
        return root * matrix + directions @ (shrink[:, None] * (directions.T @ matrix))

    scaled = divide(divide(scatter).T)
    first = max(0, n_features - n_components)
    values, vectors = scipy.linalg.eigh(
        (scaled + scaled.T) / 2, subset_by_index=[first, n_features - 1]
    )
    values, vectors = values[::-1], vectors[:, ::-1]
    n_varying = int((values > 1e-12 * max(np.trace(scaled), 0.0)).sum())
    n_kept = max(1, min(n_components, n_varying))
    components = divide(vectors[:, :n_kept])
    components /= np.linalg.norm(components, axis=0)
    variance = np.einsum("ij,ij->j", components, scatter @ components).mean() / weights.sum()
    if variance > 0:
        components /= np.sqrt(variance)
    return svd_flip(components, None, u_based_decision=True)[0]
