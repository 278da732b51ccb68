"""Marginalised denoising autoencoders: features that survive noise, in closed form."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import scipy.linalg
import scipy.sparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state, gen_batches

from .._estimator import BaseTransferEstimator
from ..data._domain import Domain, Domains
from ..validation._constraints import Integral, Interval, Real
from ..validation._domains import (
    check_domains,
    check_rows_to_predict,
    refuse_rows_as_labels,
)

FLOATS = [np.float64, np.float32]

# Rows that are mapped, and made dense, at once.
ROWS_AT_ONCE = 1024


def denoising_map(scatter, products, corruption: float, regularization: float) -> np.ndarray:
    """Return the linear map that best restores features of which many are deleted.

    ``M = (E[Q] + r I)^(-1) E[P]``: rows z lose each feature with probability p, never
    their last one, a constant 1; M minimises the expected squared error of restoring
    features x of the same rows from what is left of z. With
    ``q = (1 - p, ..., 1 - p, 1)``, ``E[P]_ij = q_i sum z_i x_j`` and
    ``E[Q]_ij = q_i q_j sum z_i z_j``, on the diagonal ``q_i sum z_i^2``. The ridge r is
    `regularization` times the mean of E[Q]'s diagonal.

    Parameters
    ----------
    scatter : ndarray of shape (n_inputs + 1, n_inputs + 1)
        The sums of ``z_i z_j`` over the rows.
    products : ndarray of shape (n_inputs + 1, n_outputs)
        The sums of ``z_i x_j``.
    corruption : float in [0, 1)
        The formula's ``p``.
    regularization : float

    Returns
    -------
    ndarray of shape (n_inputs + 1, n_outputs)
    """
    kept = np.full(len(scatter), 1.0 - corruption)
    kept[-1] = 1.0
    expected = scatter * np.outer(kept, kept)
    np.fill_diagonal(expected, np.diag(scatter) * kept)
    expected.flat[:: len(expected) + 1] += regularization * np.trace(expected) / len(expected)
    found: np.ndarray = scipy.linalg.solve(expected, products * kept[:, None], assume_a="pos")
    return found


class MarginalizedDenoisingAutoencoder(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseTransferEstimator
):
    """Features that can be told from what is left of a row when many of its features are lost.

    Words, genes or sensors that say the same thing restore one another, also where one
    of them is known to the source alone and the other to the target: so a classifier
    trained on these features carries over. No labels are needed, of either domain, and
    nothing is drawn: the mean over all ways to lose features has a closed form.

    Layer ``l`` maps its input ``h_(l-1)`` (the rows at first) by ::

        h_l = tanh(M'[h_(l-1), 1]),   M = (E[Q] + r I)^-1 E[P]
        E[P]_ij = q_i sum z_i x_j,   E[Q]_ij = q_i q_j sum z_i z_j  (i != j)

    for ``x = h_(l-1)`` and ``z = [x, 1]``, summed over the rows of both domains: ``M``
    restores all features from those that are left, each lost with probability ``p``, in the least
    squares. ``q_i = 1 - p``, 1 for the constant; the diagonal ``E[Q]_ii = q_i sum z_i^2`` has
    the ridge ``r`` added. The output is ``[x, h_1, ..., h_L]``.

    With more than `n_frequent` features the first layer restores only those that are most
    often not zero, by the mean of several maps, each from `n_frequent` features or fewer
    that are drawn without replacement; so no matrix is larger than that squared.

    Parameters
    ----------
    n_layers : int, default=5
        The number ``L`` of layers.
    corruption : float, default=0.5
        The probability ``p`` with which a feature is lost, in [0, 1).
    n_frequent : int, default=1000
        Most features of a layer.
    regularization : float, default=1e-5
        Ridge of the least squares, as a share of the mean square of what is left.
    random_state : int, RandomState instance or None, default=None
        Which features restore together; without effect up to `n_frequent` features.

    Attributes
    ----------
    layers_ : list of list of (ndarray of int or None, ndarray)
        For each layer its maps: the columns it reads (None for all), and M of shape
        ``(n_columns + 1, n_outputs)``.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Their names, where `X` had names of strings.

    See Also
    --------
    sktransfer.alignment.TCA : Components in which the domains have one place.

    Notes
    -----
    Made for counts and frequencies: words, or what else is zero or positive and of one
    size. ``tanh`` saturates, so scale other features first, and mind that a deleted
    feature is a zero: centred features have lost their mean. Sparse rows are read as they are,
    but the output is dense, ``n_features + n_layers min(n_features, n_frequent)`` numbers
    a row, in the type of `X` (float32 takes half).

    References
    ----------
    M. Chen, Z. Xu, K. Weinberger, F. Sha, "Marginalized Denoising Autoencoders for Domain
    Adaptation", ICML 2012, equations 4-6, section 4.2 for many features. The ridge here is
    relative, and the constant is not restored.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.selftaught import MarginalizedDenoisingAutoencoder
    >>> rng = np.random.default_rng(0)
    >>> topic = rng.integers(0, 2, size=(200, 1))
    >>> chances = 0.1 + 0.8 * np.c_[topic.repeat(3, 1), 1 - topic.repeat(3, 1)]
    >>> words = (rng.random((200, 6)) < chances).astype(float)
    >>> features = MarginalizedDenoisingAutoencoder(n_layers=2).fit_transform(words)
    >>> features.shape
    (200, 18)
    """

    __metadata_request__fit: ClassVar = {"X_target": True, "y_target": False}

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "corruption": [Interval(Real, 0, 1, closed="left")],
        "n_frequent": [Interval(Integral, 1, None, closed="left")],
        "regularization": [Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_layers=5,
        *,
        corruption=0.5,
        n_frequent=1000,
        regularization=1e-5,
        random_state=None,
    ):
        self.n_layers = n_layers
        self.corruption = corruption
        self.n_frequent = n_frequent
        self.regularization = regularization
        self.random_state = random_state

    def transform(self, X):
        """Return rows with the features of all layers beside them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows of either domain.

        Returns
        -------
        ndarray of shape (n_rows, n_features_out)
            ``[x, h_1, ..., h_L]``.
        """
        X = check_rows_to_predict(self, X, dtype=FLOATS)
        out = np.empty((X.shape[0], self._n_features_out), dtype=X.dtype)
        for rows in gen_batches(X.shape[0], ROWS_AT_ONCE):
            hidden = X[rows].toarray() if scipy.sparse.issparse(X) else X[rows]
            parts = [hidden]
            for maps in self.layers_:
                hidden = hidden_features(hidden, maps)
                parts.append(hidden)
            np.concatenate(parts, axis=1, out=out[rows])
        return out

    @property
    def _n_features_out(self) -> int:
        return self.n_features_in_ + sum(maps[0][1].shape[1] for maps in self.layers_)

    def _check(self, fitted, X, y, X_target, y_target, sample_weight) -> Domains:
        if X_target is None:
            refuse_rows_as_labels(fitted, X, y)
        return check_domains(fitted, X, None, X_target, None, sample_weight, dtype=FLOATS)

    def _fit(self, domains: Domains) -> None:
        parts = [domains.source] if domains.target is None else [domains.source, domains.target]
        columns, outputs = self._blocks(parts)
        self.layers_: list[list[tuple[np.ndarray | None, np.ndarray]]] = []
        for _ in range(self.n_layers):
            maps = [(block, self._learn_map(parts, block, outputs)) for block in columns]
            self.layers_.append(maps)
            parts = [
                Domain(hidden_features(part.X, maps), None, part.sample_weight) for part in parts
            ]
            columns, outputs = [None], None

    def _blocks(self, parts: list[Domain]) -> tuple[list[Any], np.ndarray | None]:
        """Return which columns the first layer's maps read, and which they restore."""
        n_features = parts[0].X.shape[1]
        if n_features <= self.n_frequent:
            return [None], None
        counts = sum(_weights(part) @ (part.X != 0) for part in parts)
        frequent = np.sort(np.argsort(-counts, kind="stable")[: self.n_frequent])
        drawn = check_random_state(self.random_state).permutation(n_features)
        n_blocks = -(-n_features // self.n_frequent)
        return [np.sort(block) for block in np.array_split(drawn, n_blocks)], frequent

    def _learn_map(self, parts, columns, outputs) -> np.ndarray:
        scatter: Any = 0.0
        products: Any = 0.0
        for part in parts:
            inputs = with_constant(part.X if columns is None else part.X[:, columns])
            weighted = inputs.T * _weights(part)  # of a sparse array as well
            scatter = scatter + _dense(weighted @ inputs)
            if outputs is not None:
                products = products + _dense(weighted @ part.X[:, outputs])
        if outputs is None:
            products = scatter[:, :-1]
        return denoising_map(scatter, products, self.corruption, self.regularization)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def hidden_features(X, maps) -> np.ndarray:
    """Return ``tanh`` of the mean of maps of rows, each map from its columns and a constant."""
    total = sum(
        (X if columns is None else X[:, columns]) @ matrix[:-1] + matrix[-1]
        for columns, matrix in maps
    )
    return np.tanh(np.asarray(total) / len(maps))


def with_constant(X):
    """Return rows in double precision with a constant 1 as last feature."""
    ones = np.ones((X.shape[0], 1))
    if scipy.sparse.issparse(X):
        return scipy.sparse.csr_array(scipy.sparse.hstack([X, ones], format="csr", dtype=float))
    return np.hstack([X, ones])


def _weights(part: Domain) -> np.ndarray:
    return np.ones(len(part)) if part.sample_weight is None else part.sample_weight


def _dense(matrix) -> np.ndarray:
    return matrix.toarray() if scipy.sparse.issparse(matrix) else matrix
