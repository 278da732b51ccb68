"""Which pretrained model to fine-tune: scores of its outputs on the target, without training."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from sklearn.covariance import ledoit_wolf_shrinkage

from ..validation._constraints import Real
from ._rows import check_labels, check_rows

# Probabilities in half precision sum to 1 within this.
PROBABILITY_TOLERANCE = 1e-2

# What is left of a label vector by less than this share is rounding: the fit is perfect.
LEAST_NOISE = 1e-12

# How finely the logarithm of alpha / beta is searched; the evidence is flat at its maximum.
LOG_RATIO_TOLERANCE = 1e-4


def class_sums(rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the sum of the rows of each class, shape (n_classes, d)."""
    ones, starts = np.ones(len(codes)), np.arange(len(codes) + 1)
    return scipy.sparse.csr_matrix((ones, codes, starts)).T @ rows


def decompose(rows: np.ndarray, codes: np.ndarray, scale) -> tuple[np.ndarray, np.ndarray]:
    """Return singular values (rank,) and the left vectors' sums over classes (n_classes, rank).

    Values below the rounding of numbers of size `scale` are left out.
    """
    # U = F V / s needs no n x d factor, and R has the values and V of F without squaring them.
    _, values, right = np.linalg.svd(np.linalg.qr(rows, mode="r"), full_matrices=False)
    rank = (values > scale * max(rows.shape) * np.finfo(np.float64).eps).sum()
    return values[:rank], class_sums(rows, codes) @ right[:rank].T / values[:rank]


def expected_empirical_predictions(probabilities: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return ``sum_z P(y_i | z) theta(x_i)_z`` for each row, shape (n,)."""
    joint = class_sums(probabilities, codes)
    marginal = joint.sum(axis=0)
    conditional = np.divide(joint, marginal, out=np.zeros_like(joint), where=marginal > 0)
    return (conditional[codes] * probabilities).sum(axis=1)


def log_evidences(ratios, eigenvalues, squares, outside, n_rows: int) -> np.ndarray:
    """Return the log evidence over n of each class, its largest for the ratio alpha / beta.

    With ``t`` the ratio, ``s_i`` the eigenvalues of ``F F^T``, ``z_i`` the label vector's
    coordinates along its eigenvectors and ``q = sum_i z_i^2 t / (t + s_i)`` (over all n):

    ``-1/2 log(2 pi q / n) - 1/2 - 1/(2n) sum_i log(1 + s_i / t)``; ``beta = n / q`` is the best.
    """
    spread = (squares * (ratios / (ratios + eigenvalues))).sum(axis=0) + outside
    complexity = np.log1p(eigenvalues / ratios).sum(axis=0)
    return -(np.log(2 * np.pi * spread / n_rows) + 1 + complexity / n_rows) / 2


def best_ratios(eigenvalues, squares, outside, n_rows: int) -> np.ndarray:
    """Return the ratio alpha / beta of the greatest evidence of each class.

    The paper iterates ``alpha = gamma / m^T m``, ``beta = (n - gamma) / ||F m - y||^2``, which
    holds at every maximum. There can be several, and the iteration crawls to some: the one
    logarithm is searched instead, on ever finer grids.
    """
    classes = np.arange(squares.shape[1])
    ratios = np.full(len(classes), eigenvalues[0])
    half_width, n_points = -np.log(np.finfo(np.float64).eps), 129
    while half_width > LOG_RATIO_TOLERANCE:
        grid = ratios * np.exp(np.linspace(-half_width, half_width, n_points))[:, None]
        scores = [log_evidences(some, eigenvalues, squares, outside, n_rows) for some in grid]
        ratios = grid[np.argmax(scores, axis=0), classes]
        half_width, n_points = 2 * half_width / (n_points - 1), 9
    return ratios


def maximum_log_evidences(features: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the maximum log evidence over n of each class against the rest."""
    values, sums = decompose(features, codes, np.linalg.norm(features))
    eigenvalues, squares, counts = values[:, None] ** 2, sums.T**2, np.bincount(codes)
    outside = np.maximum(counts - squares.sum(axis=0), LEAST_NOISE * counts)
    outside *= len(values) < len(codes)
    problem = eigenvalues, squares, outside, len(codes)
    return log_evidences(best_ratios(*problem) if len(values) else 1.0, *problem)


def trace_of_ratio(features: np.ndarray, codes: np.ndarray, shrinkage: float) -> float:
    """Return ``(1 - a) tr(C_a^+ cov(E[f|y]))`` with ``C_a = (1 - a) C + a tr(C)/d I``.

    In the left singular vectors of the centred features both covariances are read off
    without an inverse: C is diagonal there, and class means of singular vectors give the other.
    """
    centred = features - features.mean(axis=0)
    values, sums = decompose(centred, codes, np.linalg.norm(features))
    between = (sums**2 / np.bincount(codes)[:, None]).sum(axis=0)
    shrunk = (1 - shrinkage) * values**2
    ridge = shrinkage * (values**2).sum() / features.shape[1]
    score = float((shrunk / (shrunk + ridge)) @ between)
    # Rows that differ by rounding errors alone can exceed what is the most in exact numbers.
    return min(score, float(min(sums.shape[0] - 1, features.shape[1])))


def leep(source_probabilities: Any, y: Any) -> float:
    """LEEP: how well a source model's own predictions foretell the target's labels.

    The model's classes, whatever they are, are read as dummy labels of the target;
    how often each goes with each target label makes a classifier without any
    training. Its mean log-likelihood is the score: greater is better, at most 0.

    With ``theta(x_i)_z`` the probability of source class ``z`` in row ``i`` of ``n``:
    ``P(y, z) = 1/n sum_{i: y_i = y} theta(x_i)_z``, ``P(y | z) = P(y, z) / sum_y P(y, z)``,
    and ``LEEP = 1/n sum_i log sum_z P(y_i | z) theta(x_i)_z`` (natural logarithm).

    Parameters
    ----------
    source_probabilities : array-like of shape (n_samples, n_source_classes)
        The source model's `predict_proba` of target rows; rows sum to 1 within
        0.01.
    y : array-like of shape (n_samples,)
        Target labels of any kind, at least two classes.

    Returns
    -------
    float
        The score, at most 0. Compare scores on the same rows only.

    Raises
    ------
    ValueError, TypeError
        For what are no probabilities, labels that are missing or of another
        number than rows, and a single class.

    See Also
    --------
    logme, h_score : Need features alone, so serve models without a classifier, too.

    References
    ----------
    Nguyen et al., "LEEP: A New Measure to Evaluate Transferability of Learned
    Representations", ICML 2020, section 3. https://arxiv.org/abs/2002.12462

    Examples
    --------
    >>> from sktransfer.metrics import leep
    >>> round(leep([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]], ["cat", "cat", "dog"]), 3)
    -0.245
    """
    probabilities = check_rows(source_probabilities, "source_probabilities").astype(np.float64)
    codes = check_labels(y, len(probabilities), "source_probabilities")
    sums = probabilities.sum(axis=1)
    if probabilities.min() < 0 or np.abs(sums - 1).max() > PROBABILITY_TOLERANCE:
        raise ValueError(
            f"source_probabilities has values from {probabilities.min():.3g} and rows that sum to "
            f"{sums.min():.3g} to {sums.max():.3g}; it must hold probabilities, not below 0 and "
            "with a sum of 1 in each row: predict_proba of a classifier, or "
            "scipy.special.softmax(logits, axis=1)."
        )
    return float(np.log(expected_empirical_predictions(probabilities, codes)).mean())


def logme(features: Any, y: Any) -> float:
    """LogME: how probable the target's labels are under linear models of the features.

    The evidence averages a linear model's likelihood over all its weights, so that
    it does not overfit as the accuracy of one trained model can. Greater is better.

    For the 0/1 vector ``y`` of each class against the rest, ``n`` rows and features ``F``:
    ``w ~ N(0, 1/alpha I)``, ``y | w ~ N(F w, 1/beta I)`` and the score is the maximum over
    ``alpha`` and ``beta`` of ``1/n log p(y | F, alpha, beta)``, averaged over the classes, with

    ``log p = n/2 log beta + d/2 log alpha - n/2 log(2 pi) - r - 1/2 log det A``,
    ``r = beta/2 ||F m - y||^2 + alpha/2 m^T m``,
    ``A = alpha I + beta F^T F``, ``m = beta A^-1 F^T y``.

    It is computed from the singular values of ``F``, for any rank and for ``n < d``. The
    model has no intercept, as in the paper: scores depend on the features' origin.

    Parameters
    ----------
    features : array-like of shape (n_samples, n_features)
        The model's features of target rows.
    y : array-like of shape (n_samples,)
        Target labels of any kind, at least two classes.

    Returns
    -------
    float
        The score, of either sign. Compare scores on the same rows only.

    Raises
    ------
    ValueError, TypeError
        For features that are not finite or not 2-D, labels that are missing or
        of another number than rows, and a single class.

    See Also
    --------
    h_score : Invariant to linear maps of the features; one decomposition, no iteration.

    Notes
    -----
    The evidence can have several maxima in the ratio ``alpha/beta``. All ratios are
    searched here, so that the greatest is found; the paper's fixed-point
    iteration ends at one of them. Features that fit the labels exactly have an
    evidence without bound: here a share of 1e-12 of the labels counts as noise.

    References
    ----------
    You et al., "LogME: Practical Assessment of Pre-trained Models for Transfer
    Learning", ICML 2021. https://arxiv.org/abs/2102.11005

    You et al., "Ranking and Tuning Pre-trained Models: A New Paradigm for
    Exploiting Model Hubs", JMLR 23 (2022). https://arxiv.org/abs/2110.10545

    Examples
    --------
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.metrics import logme
    >>> X, y, _, _ = make_shifted_moons(100, random_state=0)
    >>> logme(X, y) > logme(X[:, :1], y)
    True
    """
    features = check_rows(features, "features").astype(np.float64)
    codes = check_labels(y, len(features), "features")
    return float(maximum_log_evidences(features, codes).mean())


def h_score(features: Any, y: Any, *, shrinkage: float = 0.0) -> float:
    """H-score: how much of the features' spread lies between the target's classes.

    Features serve a target where its classes differ in their means by much, against
    the covariance of all. Greater is better: from 0 to the lesser of n_classes - 1
    and the rank of the features.

    It is ``tr(C^+ cov(E[f|y]))`` with ``C`` the covariance of the features and
    ``cov(E[f|y])`` that of the rows' class means. Shrunk by ``a`` in [0, 1] it is
    ``(1 - a) tr(C_a^-1 cov(E[f|y]))`` with ``C_a = (1 - a) C + a tr(C)/d I``.

    Parameters
    ----------
    features : array-like of shape (n_samples, n_features)
        The model's features of target rows.
    y : array-like of shape (n_samples,)
        Target labels of any kind, at least two classes.
    shrinkage : float or "auto", default=0.0
        Share ``a`` of the sphere in the covariance. 0 is the score of Bao et al.,
        which does not change under invertible linear maps and wants many more
        rows than features: with less rows than features it is n_classes - 1
        whatever the features are. "auto" is Ledoit and Wolf's share, as Ibrahim et
        al. recommend for many features.

    Returns
    -------
    float
        The score, at least 0.

    Raises
    ------
    ValueError, TypeError
        For features that are not finite or not 2-D, labels that are missing or
        of another number than rows, a single class, or a share outside [0, 1].

    See Also
    --------
    logme : Chooses its regularisation for each class.

    References
    ----------
    Bao et al., "An Information-Theoretic Approach to Transferability in Task
    Transfer Learning", ICIP 2019.

    Ibrahim et al., "Newer is not always better: Rethinking transferability
    metrics, their peculiarities, stability and performance", ECML PKDD 2022.
    https://arxiv.org/abs/2110.06893

    Examples
    --------
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.metrics import h_score
    >>> X, y, _, _ = make_shifted_moons(100, random_state=0)
    >>> round(h_score([[0.0], [0.0], [1.0], [1.0]], ["a", "a", "b", "b"]), 6)
    1.0
    >>> 0 < h_score(X, y, shrinkage="auto") < h_score(X, y) < 1
    True
    """
    is_share = isinstance(shrinkage, Real) and 0 <= float(shrinkage) <= 1
    if not is_share and not (isinstance(shrinkage, str) and shrinkage == "auto"):
        raise ValueError(f'shrinkage={shrinkage!r} must be in [0, 1] or "auto", which finds it.')
    features = check_rows(features, "features").astype(np.float64)
    codes = check_labels(y, len(features), "features")
    if not is_share:
        shrinkage = ledoit_wolf_shrinkage(features)
    return trace_of_ratio(features, codes, shrinkage)
