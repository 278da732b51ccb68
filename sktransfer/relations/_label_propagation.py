"""Labels that spread over a graph of both domains."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from sklearn.base import ClassifierMixin
from sklearn.preprocessing import StandardScaler, normalize

from .._estimator import BaseTransferEstimator
from .._warning import warn
from .._wrapping import find_classes
from ..data._domain import Domain, Domains
from ..data._spread import warn_where_columns_outweigh
from ..validation._constraints import Integral, Interval, Real, StrOptions
from ..validation._domains import check_domains, check_rows_to_predict
from ._graph import (
    affinity,
    distinct_rows,
    ends_of_walks,
    levels,
    nearest_rows,
    vote_shares,
)


def class_shares(codes: np.ndarray, mass: np.ndarray, nodes: np.ndarray, shape: tuple[int, int]):
    """Return the share of each class among the rows of each node, (n_nodes, n_classes)."""
    counts = np.zeros(shape)
    np.add.at(counts, (nodes, codes), mass)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), np.finfo(float).tiny)


def mass_factors(ends: np.ndarray, mass: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return by what classes are multiplied so that they have the mass that their shares say.

    ``c_k = q_k / (sum_i m_i F_ik / sum_i m_i)``; 1 for a class without share, which the source
    does not have, and for one that nothing ends at.
    """
    found = mass @ ends / mass.sum()
    is_told = (found > 0) & (shares > 0)
    return np.divide(shares, found, out=np.ones_like(found), where=is_told)


class CrossDomainLabelPropagation(ClassifierMixin, BaseTransferEstimator):
    """Label propagation from a source to a target over a graph of both.

    Rows of the target are first told their label by the nearest rows of the source, and then
    agree on it with those of their own domain that are near: where classes are clumps in the
    target, a clump gets one label, by the majority of what its rows were told. Labels are where
    random walks end. One that stands at a row ``i`` of the target steps with probability `alpha`
    to a row of the target and otherwise to one of the source, where it ends::

        F_i = alpha sum_j W_ij F_j / sum_j W_ij + (1 - alpha) sum_s B_is Y_s
        W_ij = m_i m_j exp(-d_ij^2 / (s_i s_j)),   B_is = m_s v_s exp(-d_is^2 / r_i^2) / sum(...)

    ``W`` joins rows of which one is among the `n_neighbors` nearest of the other, ``B`` the
    `n_source_neighbors` nearest of the source; ``s_i`` and ``r_i`` are the distances of the
    farthest of each, so there is no bandwidth to choose, and rows that lie apart from the source
    are told as much by it as others: each domain has its share, however many rows it has and
    however far off it is. So have rows of the source: each counts by ``v_s = 1 / (1 + c_s / c)``,
    where ``c_s`` is what it would tell all rows of the target together without this, and ``c`` the
    mean of ``c_s``; when domains lie apart, few rows of the source are nearest to many of the
    target. ``m`` are weights of rows. Rows with a label, of the source and of the target, keep it.
    The system is solved by conjugate gradients; nothing of the size of a square of rows is kept.
    New rows take one step of the same walk.

    Parameters
    ----------
    n_neighbors : int, default=10
        Neighbours of a target row in the target.
    n_source_neighbors : int, default=10
        Neighbours of a target row in the source.
    alpha : float in [0, 1), default=0.8
        Share of the target's own rows in what a row becomes. With 0 each is told by the source
        alone, as by nearest neighbours.
    metric : {"cosine", "euclidean"}, default="cosine"
        What near means. "cosine" brings rows to length 1 first, as suits words, spectra and
        images; where the length of a row tells something, or a table has few columns, take
        "euclidean".
    standardize : bool, default=False
        Whether features are brought to mean 0 and variance 1 in each domain by itself (of sparse
        rows to variance 1 alone): for columns in units of their own.
    class_mass_normalization : bool, default=True
        Whether classes get the shares in the target that they have in the source: ``F_ik`` is
        multiplied by ``q_k / mean_i F_ik``, which keeps a class from taking the rows of others
        (hubs and large clumps make it). It supposes equal shares, and yet helped where every other
        class had three tenths of its rows; where shares are altogether different, set it to
        False.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels of the source and of the target.
    transduction_ : ndarray of shape (n_target,)
        Label of each row of `X_target`; missing without a target.
    label_distributions_ : ndarray of shape (n_target, n_classes)
        Probabilities of the classes for each row of `X_target`.
    class_factors_ : ndarray of shape (n_classes,)
        By what classes are multiplied; 1 without `class_mass_normalization` or a target.
    n_target_rows_ : int
        Number of target rows in `fit`.
    n_features_in_ : int
        Columns.
    feature_names_in_ : ndarray of str
        Their names, where `X` had names of strings.

    Warns
    -----
    UserWarning
        Without `X_target`: nothing spreads, and rows are told by the source alone.

    Notes
    -----
    The labels of the source are held, so how its rows lie among themselves has no part in the
    equations. Equal rows of a domain count as one with the sum of their weights: row order does
    not matter, and a weight of three is three rows. Of rows of the target that were in `fit`,
    `transduction_` tells what they became; `predict` treats them as any others.

    See Also
    --------
    OptimalTransport : Moves the source's rows to the target's.
    sklearn.semi_supervised.LabelSpreading : Over one graph that knows no domains.

    References
    ----------
    X. Zhu, Z. Ghahramani, J. Lafferty, "Semi-supervised learning using Gaussian fields and
    harmonic functions", ICML 2003, sections 2 (clamped labels), 4 (class mass normalization) and
    5 (what rows are told from outside).

    Scales: L. Zelnik-Manor, P. Perona, "Self-tuning spectral clustering", NIPS 2004.

    Examples
    --------
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.relations import CrossDomainLabelPropagation
    >>> Xs, ys, Xt, yt = make_shifted_moons(300, rotation=30, random_state=0)
    >>> clf = CrossDomainLabelPropagation(metric="euclidean").fit(Xs, ys, X_target=Xt)
    >>> bool(clf.score(Xt, yt) > clf.source_only().fit(Xs, ys).score(Xt, yt))
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "n_source_neighbors": [Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, 1, closed="left")],
        "metric": [StrOptions({"euclidean", "cosine"})],
        "standardize": ["boolean"],
        "class_mass_normalization": ["boolean"],
    }

    def __init__(
        self,
        n_neighbors=10,
        *,
        n_source_neighbors=10,
        alpha=0.8,
        metric="cosine",
        standardize=False,
        class_mass_normalization=True,
    ):
        self.n_neighbors = n_neighbors
        self.n_source_neighbors = n_source_neighbors
        self.alpha = alpha
        self.metric = metric
        self.standardize = standardize
        self.class_mass_normalization = class_mass_normalization

    def _fit(self, domains: Domains) -> None:
        source, target = domains.source, domains.target
        self.n_target_rows_ = 0 if target is None else len(target)
        labelled = None if target is None or target.y is None else target.labelled()
        self.classes_ = find_classes(source, labelled)
        if not self.standardize:
            warn_where_columns_outweigh(self, source.X, "nearness hardly depends on")
        self._keep_source(source)
        self.class_factors_ = np.ones(len(self.classes_))
        if target is not None:
            self._spread(target)
        elif self._transfers():
            warn(
                "CrossDomainLabelPropagation was fitted without X_target: nothing spreads, and "
                "rows are told by their neighbours in the source. Pass rows of the target, which "
                "need no labels, as X_target."
            )

    def _keep_source(self, source: Domain) -> None:
        weights = np.ones(len(source)) if source.sample_weight is None else source.sample_weight
        kept = np.flatnonzero(weights)
        source, weights = source.take(kept), weights[kept]
        first, nodes = distinct_rows(source.X)
        self._source_mass = self._source_tells = np.bincount(nodes, weights)
        self._source_rows = self._place(source.X[first], self._source_mass)
        codes = np.searchsorted(self.classes_, source.labels)
        shape = len(first), len(self.classes_)
        self._source_labels = class_shares(codes, weights, nodes, shape)

    def _spread(self, target: Domain) -> None:
        first, nodes = distinct_rows(target.X)
        mass = np.bincount(nodes).astype(float)
        rows = self._place(target.X[first], mass)
        has_label = np.zeros(len(first), dtype=bool)
        known = np.zeros((len(first), len(self.classes_)))
        if target.y is not None:
            given = np.arange(len(target)) if target.has_label is None else target.has_label
            codes = np.searchsorted(self.classes_, target.labels[given])
            known = class_shares(codes, np.ones(len(codes)), nodes[given], known.shape)
            has_label[nodes[given]] = True
        near_source = self._near_source(rows)
        votes = vote_shares(*near_source, self._source_mass)
        self._source_tells = self._source_mass * levels(votes, self._source_mass, mass)
        near = nearest_rows(rows, rows, self.n_neighbors, are_same=True)
        ends = ends_of_walks(
            affinity(*near, mass), self._told(near_source), known, has_label, self.alpha
        )
        if self.class_mass_normalization:
            shares = self._source_mass @ self._source_labels / self._source_mass.sum()
            self.class_factors_ = mass_factors(ends, mass, shares)
        self._target_rows, self._target_mass, self._target_ends = rows, mass, ends
        self.label_distributions_ = self._balanced(ends)[nodes]
        self.transduction_ = self.classes_[self.label_distributions_.argmax(axis=1)]

    def _near_source(self, rows: Any) -> tuple[np.ndarray, np.ndarray]:
        return nearest_rows(rows, self._source_rows, self.n_source_neighbors)

    def _told(self, near: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Return what rows are told by those of the source that are near."""
        told: np.ndarray = vote_shares(*near, self._source_tells) @ self._source_labels
        return told

    def _balanced(self, ends: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = ends * self.class_factors_
        return scaled / scaled.sum(axis=1, keepdims=True)

    def _place(self, X: Any, mass: np.ndarray) -> Any:
        """Return rows of a domain where distances are taken; others of it will go there, too."""
        self._scaler = None
        if self.standardize:
            self._scaler = StandardScaler(with_mean=not sparse.issparse(X))
            self._scaler.fit(X, sample_weight=mass)
        return self._placed(X)

    def _placed(self, X: Any) -> Any:
        X = X if self._scaler is None else self._scaler.transform(X)
        return normalize(X) if self.metric == "cosine" else X

    def predict_proba(self, X):
        """Return the probabilities of the classes for rows of the target.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows, those of `fit` or new ones.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            In the order of ``classes_``: where a walk ends that begins at the row.
        """
        X = check_rows_to_predict(self, X, dtype=np.float64)
        rows = self._placed(X)
        ends = self._told(self._near_source(rows))
        if self.n_target_rows_:
            near = nearest_rows(rows, self._target_rows, self.n_neighbors)
            stepped = vote_shares(*near, self._target_mass) @ self._target_ends
            ends = self.alpha * stepped + (1 - self.alpha) * ends
        return self._balanced(ends)

    def predict(self, X):
        """Predict the most probable class for rows of the target.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows, those of `fit` or new ones.

        Returns
        -------
        ndarray of shape (n_rows,)
            Labels.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def _check(self, fitted, X, y, X_target, y_target, sample_weight) -> Domains:
        return check_domains(fitted, X, y, X_target, y_target, sample_weight, dtype=np.float64)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        return tags
