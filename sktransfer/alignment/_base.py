"""What all aligners share: one map for rows of the source, one for rows of the target."""

from __future__ import annotations

import sys
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.frozen import FrozenEstimator

from .._estimator import BaseTransferEstimator
from .._warning import warn
from ..data._domain import Domain, Domains
from ..validation._domains import check_domains, check_rows_to_predict


class BaseAligner(TransformerMixin, BaseTransferEstimator):
    """Maps two domains to where they are alike.

    `fit_transform` gives the rows of the source aligned, `transform` maps rows of the
    target, those of `fit` and new ones. Without a target both are the same map. A
    method sets what it learns in `_learn` and maps rows in `_map_source` and
    `_map_target`.
    """

    # Labels of the target are asked for by the methods that use them.
    __metadata_request__fit: ClassVar = {"X_target": True, "y_target": False}

    # What a method reads of y; others take whatever y is, and leave it unread.
    _reads_labels: ClassVar[bool] = False
    _one_map_for_both: ClassVar[bool] = False

    def fit_transform(self, X, y=None, X_target=None, y_target=None, sample_weight=None):
        """Fit as `fit` does and return the rows of the source aligned.

        Parameters
        ----------
        X, y, X_target, y_target, sample_weight
            As for `fit`.

        Returns
        -------
        ndarray or sparse matrix of shape (n_source, n_features_out)
            The source, aligned with the target.
        """
        self.fit(X, y, X_target, y_target, sample_weight)
        return self.transform_source(X)

    def transform(self, X):
        """Map rows of the target.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows of the target, those of `fit` or new ones.

        Returns
        -------
        ndarray or sparse matrix of shape (n_rows, n_features_out)
            The rows, aligned with what `fit_transform` gave of the source.
        """
        X = check_rows_to_predict(self, X, dtype=np.float64)
        if not self._one_map_for_both and self.n_target_rows_:
            _warn_where_a_search_scores_the_source(X.shape[0])
        return self._map_target(X)

    def transform_source(self, X):
        """Map rows of the source, those of `fit` or new ones.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows of the source.

        Returns
        -------
        ndarray or sparse matrix of shape (n_rows, n_features_out)
            The rows, aligned with the target.
        """
        return self._map_source(check_rows_to_predict(self, X, dtype=np.float64))

    @abstractmethod
    def _learn(self, source: Domain, target: Domain | None) -> None:
        """Set the fitted attributes."""

    @abstractmethod
    def _map_source(self, X) -> Any:
        """Return checked rows of the source aligned."""

    @abstractmethod
    def _map_target(self, X) -> Any:
        """Return checked rows of the target aligned."""

    def _fit(self, domains: Domains) -> None:
        target = domains.target
        self.n_target_rows_ = 0 if target is None else len(target)
        if target is None and self._transfers():
            warn(
                f"{type(self).__name__} was fitted without X_target: nothing is aligned, and "
                "source and target pass through the same map. Pass rows of the target, which "
                "need no labels, as X_target."
            )
        self._learn(domains.source, target)

    def _check(self, fitted, X, y, X_target, y_target, sample_weight) -> Domains:
        if not self._reads_labels:
            if y_target is not None:
                warn(
                    f"{type(self).__name__} uses no labels: y_target is not used here. In "
                    "make_transfer_pipeline the rows it labels train the last step."
                )
            y = y_target = None
        return check_domains(fitted, X, y, X_target, y_target, sample_weight, dtype=np.float64)


def merge_rows(domain: Domain, with_labels: bool = False) -> Domain:
    """Return the distinct rows of a domain in one order, weighted by how often they occur.

    What is computed from them knows nothing of the order in which rows came, and a weight
    of three is three rows. Rows without weight are left out.

    Parameters
    ----------
    domain : Domain
        Dense rows.
    with_labels : bool
        Whether rows of unequal labels are distinct.
    """
    weights = np.ones(len(domain)) if domain.sample_weight is None else domain.sample_weight
    if not weights.all():
        domain, weights = domain.take(np.flatnonzero(weights)), weights[weights > 0]
    rows = np.ascontiguousarray(domain.X) + 0.0  # -0. becomes 0., whose bytes differ
    keys = rows
    if with_labels and domain.y is not None:
        codes = np.unique(domain.y, return_inverse=True)[1] + 1.0
        if domain.has_label is not None:
            codes = np.where(domain.has_label, codes, 0.0)
        keys = np.column_stack([rows, codes])
    order = np.argsort(keys[:, 0], kind="stable")
    first = keys[order, 0]
    if (first[1:] != first[:-1]).all():  # no two rows are equal
        merged = domain.take(order)
        return Domain(rows[order], merged.y, weights[order], merged.has_label)
    as_bytes = np.dtype((np.void, keys.dtype.itemsize * keys.shape[1]))
    order = np.argsort(np.ascontiguousarray(keys).view(as_bytes).ravel(), kind="stable")
    order = order[np.argsort(keys[order, 0], kind="stable")]
    keys = keys[order]
    is_first = np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)]
    # Summed from the smallest: the order among equal rows does not show.
    by_size = np.lexsort((weights[order], np.cumsum(is_first)))
    sums = np.add.reduceat(weights[order][by_size], np.flatnonzero(is_first))
    merged = domain.take(order[is_first])
    return Domain(rows[order[is_first]], merged.y, sums, merged.has_label)


def weighted_mean_and_covariance(X, sample_weight=None):
    """Return the mean and the covariance (divided by the sum of weights) of rows.

    ``C = sum_i w_i (x_i - m) (x_i - m)' / sum_i w_i``. A CSR matrix is not made dense.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_rows, n_features)
    sample_weight : ndarray of shape (n_rows,) or None

    Returns
    -------
    mean : ndarray of shape (n_features,)
    covariance : ndarray of shape (n_features, n_features)
    """
    weights = np.ones(X.shape[0]) if sample_weight is None else sample_weight
    shares = weights / weights.sum()
    mean = np.asarray(X.T @ shares).ravel()
    if hasattr(X, "toarray"):
        second = (X.multiply(shares[:, None]).T @ X).toarray()
        return mean, second - np.outer(mean, mean)
    centred = (X - mean) * np.sqrt(shares)[:, None]
    return mean, centred.T @ centred


def symmetric_power(matrix: np.ndarray, power: float, floor: float = 0.0) -> np.ndarray:
    """Return a power of a symmetric positive semi-definite matrix.

    Parameters
    ----------
    matrix : ndarray of shape (n, n)
    power : float
        Where it is negative, eigenvalues up to `floor` are taken for zero and give zero,
        as in a pseudo-inverse.
    floor : float
    """
    values, vectors = np.linalg.eigh(matrix)
    raised = np.zeros_like(values)
    above = values > max(floor, 0.0)
    raised[above] = values[above] ** power
    return (vectors * raised) @ vectors.T


SCORERS = (
    "Score by a scorer that holds the target, for example "
    "scoring=sktransfer.model_selection.NeighborAgreementScorer(X_target)."
)
# What in scikit-learn holds rows out and asks a fitted pipeline about them, and the way out.
WITH_HELD_OUT_ROWS = {
    "_score": ("A search scores", SCORERS),
    "_fit_and_predict": ("A search scores", SCORERS),
    "_fit_classifier_calibrator_pair": (
        "CalibratedClassifierCV calibrates by",
        "Fit the pipeline first, and calibrate on labelled rows of the target, "
        "CalibratedClassifierCV(FrozenEstimator(pipe)).fit(X_target, y_target).",
    ),
}


def _warn_where_a_search_scores_the_source(n_rows: int) -> None:
    """Warn where a search scores a fold of the source, which passes the target's map here.

    A scorer gets the fold, and hands it on: the one sign of it is a call with as many
    rows below scikit-learn's scoring.
    """
    frame: Any = sys._getframe(2)
    while frame is not None:
        name, module = frame.f_code.co_name, frame.f_globals.get("__name__", "")
        if name in {"fit", "fit_transform"}:
            return  # of a pipeline, which maps its target
        if module == "sktransfer.model_selection._reverse_validation":
            return  # to which the source is the target
        if name in WITH_HELD_OUT_ROWS and module.startswith("sklearn."):
            held_out, estimator = map(frame.f_locals.get, ("X_test", "estimator"))
            if isinstance(estimator, FrozenEstimator):
                return  # fitted elsewhere: these rows may well be the target's
            if held_out is not None:
                break
        frame = frame.f_back
    if frame is None or not hasattr(held_out, "shape") or held_out.shape[0] != n_rows:
        return
    does, way = WITH_HELD_OUT_ROWS[name]
    warn(
        f"{does} {n_rows} rows of the source here, but they pass through the map of the "
        f"target: such a score says little. {way}"
    )
