"""Scorers that compare the predicted classes with where the features lie."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize

from .._docs import with_shared_docs
from ._scoring import BaseTargetScorer, check_labelled_rows, extract_features, predict_labels
from ._source_side import as_for_source

# Starts of k-means, of which the best is taken.
N_STARTS = 3


def class_ami(features: np.ndarray, labels: np.ndarray, n_classes: int) -> float:
    """Return the adjusted mutual information of labels and k-means clusters of features.

    A single label tells nothing: 0.
    """
    if len(np.unique(labels)) == 1:
        return 0.0
    n_clusters = min(n_classes, len(np.unique(features, axis=0)))
    clusters = KMeans(n_clusters, n_init=N_STARTS, random_state=0).fit_predict(features)
    return float(adjusted_mutual_info_score(labels, clusters))


def neighbor_agreement(
    source: np.ndarray, y: np.ndarray, target: np.ndarray, labels: np.ndarray, n_neighbors: int
) -> float:
    """Return the share of target rows whose label most of their nearest source rows have."""
    neighbors = KNeighborsClassifier(min(n_neighbors, len(source)), algorithm="brute")
    return float(np.mean(neighbors.fit(source, y).predict(target) == labels))


@with_shared_docs
class ClassAMIScorer(BaseTargetScorer):
    """Agreement of the predicted classes with the clusters of the target's features.

    The features of the target rows (those of `transform`, scaled to length 1) are
    put into as many clusters as there are classes by k-means, the best of 3
    starts. The score is the adjusted mutual information of clusters and predicted
    classes: 1 where they are the same, 0 on average where they have nothing to do
    with each other, and 0 where a single class is predicted.

    Parameters
    ----------
    {target_scorer_parameters}

    See Also
    --------
    NeighborAgreementScorer : Compares with labelled rows of the source instead.

    References
    ----------
    Musgrave, Belongie and Lim, "Three new validators and a large-scale benchmark
    ranking for unsupervised domain adaptation", 2022.
    https://arxiv.org/abs/2208.07360

    Examples
    --------
    >>> from sktransfer import DANNClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.model_selection import ClassAMIScorer
    >>> Xs, ys, Xt, _ = make_shifted_moons(100, random_state=0)
    >>> clf = DANNClassifier(max_epochs=10, random_state=0).fit(Xs, ys, X_target=Xt)
    >>> 0 < ClassAMIScorer(Xt)(clf) < 1
    True
    """

    def __call__(self, estimator: Any, X: Any = None, y: Any = None) -> float:
        """Return the score; `X` and `y` are not looked at."""
        features = normalize(extract_features(estimator, self.X_target))
        return class_ami(
            features, predict_labels(self, estimator, self.X_target), len(estimator.classes_)
        )


@with_shared_docs
class NeighborAgreementScorer(BaseTargetScorer):
    """Agreement of the predicted classes with those of the nearest rows of the source.

    The score is the share of target rows whose predicted class is that of most of
    their `n_neighbors` nearest rows of the source, by the angle between features
    (those of `transform`). Where the domains' features have been brought together
    by their classes, label head and neighbours agree; where they have been mixed
    up, or still lie apart, they do not.

    Of all scorers this one lost the least accuracy on the problems of
    ``benchmarks/scorers.py``. It is no published one.

    Parameters
    ----------
    {target_scorer_parameters}
    n_neighbors : int, default=5
        Rows of the source that vote, or all where there are fewer.

    See Also
    --------
    ClassAMIScorer : Needs no rows of the source.

    Examples
    --------
    >>> from sktransfer import DANNClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.model_selection import NeighborAgreementScorer
    >>> Xs, ys, Xt, _ = make_shifted_moons(200, random_state=0)
    >>> clf = DANNClassifier(max_epochs=10, random_state=0)
    >>> clf = clf.fit(Xs[:100], ys[:100], X_target=Xt)
    >>> 0.5 < NeighborAgreementScorer(Xt)(clf, Xs[100:], ys[100:]) <= 1
    True
    """

    def __init__(self, X_target: Any, *, n_neighbors: int = 5) -> None:
        super().__init__(X_target)
        if not isinstance(n_neighbors, Integral) or int(n_neighbors) < 1:
            raise ValueError(f"n_neighbors must be an integer of at least 1; got {n_neighbors!r}.")
        self.n_neighbors: int = int(n_neighbors)

    def __call__(self, estimator: Any, X: Any = None, y: Any = None) -> float:
        """Return the score by labelled rows of the source, `X` and `y`."""
        check_labelled_rows(self, X, y)
        source = normalize(extract_features(as_for_source(estimator), X))
        target = normalize(extract_features(estimator, self.X_target))
        labels = predict_labels(self, estimator, self.X_target)
        return neighbor_agreement(source, np.asarray(y), target, labels, self.n_neighbors)
