"""Feature augmentation: a copy of the features for all domains, and one for each."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import scipy.sparse
from sklearn.base import OneToOneFeatureMixin

from .._warning import warn
from ..validation._domains import check_domains
from ._base import BaseAligner


def augment(X, own: int):
    """Return ``[x, x, 0]`` (own block 1) or ``[x, 0, x]`` (own block 2) of each row.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_rows, n_features)
    own : int
        Place of the domain's own copy.

    Returns
    -------
    like `X`, of shape (n_rows, 3 * n_features)
    """
    if scipy.sparse.issparse(X):
        blocks = [X, scipy.sparse.csr_array(X.shape, dtype=X.dtype)]
        blocks.insert(own, X)
        return scipy.sparse.hstack(blocks, format="csr")
    n_features = X.shape[1]
    augmented = np.zeros((X.shape[0], 3 * n_features), dtype=X.dtype)
    augmented[:, :n_features] = augmented[:, own * n_features : (own + 1) * n_features] = X
    return augmented


class FeatureAugmentation(OneToOneFeatureMixin, BaseAligner):
    """Give each domain a copy of the features of its own, beside one that both share.

    A linear model on top finds what holds in both domains, and what in one alone. It needs
    labels of some target rows, from which the target's own weights are learned::

        source: [x, x, 0]        target: [x, 0, x]

    In `make_transfer_pipeline` the target rows that `y_target` labels train the last step
    together with the source. Without any it only shrinks the weights, so it warns. Of
    use to linear models with a penalty; trees and neighbours gain nothing.

    Attributes
    ----------
    n_target_rows_ : int
        Number of target rows in `fit`; without any, both domains are ``[x, x, 0]``.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Their names, where `X` had names of strings.

    Notes
    -----
    Sparse rows stay sparse. Weights of rows change nothing here.

    References
    ----------
    Daumé III, "Frustratingly Easy Domain Adaptation", ACL 2007, eq. 1.

    Examples
    --------
    >>> from sktransfer.alignment import FeatureAugmentation
    >>> augmentation = FeatureAugmentation()
    >>> augmentation.fit_transform([[1.0, 2.0]], X_target=[[3.0, 4.0]], y_target=["a"])
    array([[1., 2., 1., 2., 0., 0.]])
    >>> augmentation.transform([[3.0, 4.0]])
    array([[3., 4., 0., 0., 3., 4.]])
    >>> augmentation.get_feature_names_out()
    array(['shared_x0', 'shared_x1', 'source_x0', 'source_x1', 'target_x0',
           'target_x1'], dtype=object)
    """

    __metadata_request__fit: ClassVar = {"X_target": True, "y_target": True}

    def get_feature_names_out(self, input_features=None):
        """Return the features' names, those of each copy with its name before.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the features; None for those of `fit`, or x0, x1, ...

        Returns
        -------
        ndarray of str of shape (3 * n_features,)
        """
        names = super().get_feature_names_out(input_features)
        copies = [f"{copy}_{name}" for copy in ("shared", "source", "target") for name in names]
        return np.array(copies, dtype=object)

    def _check(self, fitted, X, y, X_target, y_target, sample_weight):
        return check_domains(fitted, X, None, X_target, y_target, sample_weight, dtype=np.float64)

    def _learn(self, source, target):
        if target is not None and target.y is None:
            warn(
                "FeatureAugmentation has no labels of the target: nothing tells the target's own "
                "copy of the features apart. Give y_target, with labels for some rows."
            )

    def _map_source(self, X):
        return augment(X, 1)

    def _map_target(self, X):
        return augment(X, 2 if self.n_target_rows_ else 1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
