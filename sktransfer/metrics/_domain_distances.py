"""How far apart two domains are: by a classifier, by covariances, by transport on lines."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches
from threadpoolctl import threadpool_limits

from ..validation._arguments import check_random_state
from ..validation._constraints import Integral, Real
from ._moments import covariance
from ._rows import check_domains, iter_rows, working_numbers


def balanced_error(is_target: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean of the error rates on the source and on the target."""
    wrong = is_target != predicted
    return float(wrong[is_target == 1].mean() + wrong[is_target == 0].mean()) / 2


def random_directions(n_features: int, n_directions: int, random_state) -> np.ndarray:
    """Return unit vectors drawn uniformly from the sphere, shape (n_directions, n_features)."""
    directions = random_state.standard_normal((n_directions, n_features))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def sorted_projections(X, directions: np.ndarray) -> np.ndarray:
    """Return ``<x, direction>`` of all rows, ascending in each column."""
    projected = np.concatenate([block @ directions.T for block in iter_rows(X)])
    projected.sort(axis=0)
    return projected


def transport_cost(source: np.ndarray, target: np.ndarray, p: float) -> np.ndarray:
    """Return ``W_p^p = int_0^1 |F^-1(u) - G^-1(u)|^p du`` of each pair of sorted columns.

    The quantile functions of n and m values are constant between the levels
    ``i/n`` and ``j/m``, so the integral is a sum over the merged levels.
    """
    n, m = len(source), len(target)
    levels = np.unique(np.concatenate([np.arange(1, n + 1) * m, np.arange(1, m + 1) * n]))
    gaps = np.abs(source[(levels - 1) // m] - target[(levels - 1) // n])
    gaps **= p
    return np.diff(levels, prepend=0) @ gaps / (n * m)


def proxy_a_distance(
    X_source: Any, X_target: Any, *, classifier: Any = None, cv: Any = 2, random_state: Any = None
) -> float:
    """Proxy A-distance: how well a classifier tells the source from the target.

    The less a domain classifier errs on rows it has not seen, the further apart
    the domains are: 0 where it can but guess, 2 where it never errs.

    It is ``2 (1 - 2 e)`` with ``e`` the mean of the error rates on source
    and target, each row predicted by a classifier trained without it, so that
    domains of different sizes count alike. The range is [-2, 2]; below 0 it is
    by chance, or because the same rows are in both domains.

    The paper trains a linear SVM on one half of the rows, and reports the least
    error on the other half over a grid of its C. Here the default is logistic
    regression of fixed C = 1 on standardised features, its classes balanced:
    linear, too, two seconds for 2 x 50,000 rows of 512 features, and not
    optimistic by a choice on the rows it is tested on.

    Parameters
    ----------
    X_source : array-like or CSR matrix of shape (n_source, n_features)
        Rows of the source, most often features: ``clf.transform(X)``.
    X_target : array-like or CSR matrix of shape (n_target, n_features)
        Rows of the target.
    classifier : scikit-learn classifier or None, default=None
        Learns the domains, 0 for the source and 1 for the target; clones of it are
        fitted. Where the domains differ in size, it should weigh its
        classes (``class_weight="balanced"``). None is
        ``LogisticRegression(class_weight="balanced", max_iter=1000)`` behind a
        `StandardScaler` (of sparse rows: that scales without centring).
    cv : int or scikit-learn splitter, default=2
        Number of stratified folds of shuffled rows, or a splitter. More folds
        train on more rows, which matters where there are few.
    random_state : int, RandomState instance or None, default=None
        Decides the folds.

    Returns
    -------
    float
        The distance, in [-2, 2].

    Raises
    ------
    ValueError, TypeError
        For rows that are not finite or not 2-D, domains of different width, less
        than two folds, or fewer rows in a domain than folds.

    References
    ----------
    Ben-David et al., "Analysis of Representations for Domain Adaptation",
    NeurIPS 2006.

    Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17
    (2016), sections 3.2 and 5.1.5. https://jmlr.org/papers/v17/15-239.html

    Examples
    --------
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.metrics import proxy_a_distance
    >>> Xs, ys, Xt, yt = make_shifted_moons(300, random_state=0)
    >>> proxy_a_distance(Xs, Xt + 5, random_state=0)
    2.0
    """
    if isinstance(cv, Integral) and cv < 2:
        raise ValueError(f"cv={cv!r} must be at least 2: each row is predicted from others.")
    check_random_state(random_state)
    least_rows = int(cv) if isinstance(cv, Integral) else 2
    X_source, X_target = check_domains(
        X_source, X_target, least_rows=least_rows, why=f"cv={cv} needs"
    )
    if isinstance(cv, Integral):
        cv = StratifiedKFold(least_rows, shuffle=True, random_state=random_state)
    is_sparse = scipy.sparse.issparse(X_source) or scipy.sparse.issparse(X_target)
    if classifier is None:
        classifier = make_pipeline(
            StandardScaler(with_mean=not is_sparse),
            LogisticRegression(class_weight="balanced", max_iter=1000),
        )
    both = [X_source, X_target]
    X = scipy.sparse.vstack(both, format="csr") if is_sparse else np.concatenate(both)
    is_target = np.repeat([0, 1], [X_source.shape[0], X_target.shape[0]])
    with threadpool_limits(1):  # more threads spin, many times slower on a busy machine
        predicted = cross_val_predict(classifier, X, is_target, cv=cv)
    return 2 * (1 - 2 * balanced_error(is_target, predicted))


def coral_distance(X_source: Any, X_target: Any) -> float:
    """CORAL distance: how much the covariances of two domains differ.

    It sees scales and correlations of features, and neither their means nor
    anything beyond second order. `DeepCORALClassifier` trains by the same formula.

    It is ``1/(4 d^2) ||C_S - C_T||_F^2`` with ``C_S``, ``C_T`` the unbiased
    covariances of the ``d`` features in the source and the target.

    Parameters
    ----------
    X_source : array-like or CSR matrix of shape (n_source, n_features)
        Rows of the source, at least two, most often features: ``clf.transform(X)``.
    X_target : array-like or CSR matrix of shape (n_target, n_features)
        Rows of the target, at least two.

    Returns
    -------
    float
        The distance, at least 0, in the fourth power of the features' unit.

    Raises
    ------
    ValueError, TypeError
        For rows that are not finite or not 2-D, domains of different width, or a
        domain of a single row.

    References
    ----------
    Sun and Saenko, "Deep CORAL: Correlation Alignment for Deep Domain
    Adaptation", ECCV workshops 2016, eq. 1. https://arxiv.org/abs/1607.01719

    Examples
    --------
    >>> from sktransfer.metrics import coral_distance
    >>> coral_distance([[-1.0], [0.0], [1.0]], [[-2.0], [0.0], [2.0]])
    2.25
    """
    X_source, X_target = check_domains(X_source, X_target, least_rows=2, why="a covariance needs")
    gap = covariance(X_source) - covariance(X_target)
    return float(np.square(gap).sum()) / (4 * X_source.shape[1] ** 2)


def sliced_wasserstein_distance(
    X_source: Any,
    X_target: Any,
    *,
    n_projections: int = 100,
    p: float = 2,
    random_state: Any = None,
) -> float:
    """Sliced Wasserstein distance: what it costs to move one domain onto the other.

    Along a line the cheapest transport is known: it keeps the order. The distance
    averages its cost over random directions, and is 0 only for equal samples.

    It is ``(1/L sum_l W_p^p(<X_source, u_l>, <X_target, u_l>))^(1/p)`` over ``L`` unit
    vectors ``u_l``, drawn uniformly, with ``W_p^p = int_0^1 |F^-1 - G^-1|^p`` of the
    two quantile functions of the projected rows, exact for any number of rows.
    A shift by the vector ``s`` costs about ``||s|| / sqrt(d)`` for ``p = 2``.

    Parameters
    ----------
    X_source : array-like or CSR matrix of shape (n_source, n_features)
        Rows of the source, most often features: ``clf.transform(X)``.
    X_target : array-like or CSR matrix of shape (n_target, n_features)
        Rows of the target.
    n_projections : int, default=100
        Directions drawn; the error of the average falls with its square root.
    p : float, default=2
        Power of the distance that is moved, at least 1.
    random_state : int, RandomState instance or None, default=None
        Decides the directions; give the same to distances that are compared.

    Returns
    -------
    float
        The distance, at least 0, in the features' unit.

    Raises
    ------
    ValueError, TypeError
        For rows that are not finite or not 2-D, domains of different width, no
        direction, or a power below 1.

    References
    ----------
    Rabin et al., "Wasserstein Barycenter and Its Application to Texture
    Mixing", SSVM 2011.

    Bonneel et al., "Sliced and Radon Wasserstein Barycenters of Measures",
    Journal of Mathematical Imaging and Vision 51 (2015).

    Examples
    --------
    >>> from sktransfer.metrics import sliced_wasserstein_distance
    >>> sliced_wasserstein_distance([[0.0], [2.0]], [[4.0], [6.0]], random_state=0)
    4.0
    """
    if not isinstance(n_projections, Integral) or n_projections < 1:
        raise ValueError(f"n_projections={n_projections!r} must be an integer of at least 1.")
    if not isinstance(p, Real) or not 1 <= float(p) < math.inf:
        raise ValueError(f"p={p!r} must be a finite number of at least 1, most often 1 or 2.")
    X_source, X_target = check_domains(X_source, X_target)
    random_state = check_random_state(random_state)
    directions = random_directions(X_source.shape[1], int(n_projections), random_state)
    # Of each direction: both projections, the gaps of the merged levels and a copy of them.
    at_once = int(working_numbers() / (4 * (X_source.shape[0] + X_target.shape[0])))
    total = 0.0
    for some in gen_batches(len(directions), max(at_once, 1)):
        source, target = (sorted_projections(X, directions[some]) for X in (X_source, X_target))
        total += transport_cost(source, target, float(p)).sum()
    return float(total / len(directions)) ** (1 / float(p))
