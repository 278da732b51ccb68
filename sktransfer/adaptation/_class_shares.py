"""Shares of classes: of weights, by which others are made, and what they explain."""

from __future__ import annotations

import numpy as np

# Shares differ, where the total variation between these and the source's is so large,
# and so much larger than what is to be expected of shares that are alike.
LEAST_DIFFERENCE, LEAST_BEYOND_CHANCE = 0.12, 1.5


def class_shares(y: np.ndarray, weights: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the share that each class has of the weights, shape (n_classes,)."""
    shares: np.ndarray = np.bincount(y, weights, minlength=n_classes) / weights.sum()
    return shares


def weights_by_target_shares(shares: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return ``w_i q_k / p_k`` for source rows ``i`` of class ``k``; the sum stays.

    ``q_k`` are the target's shares and ``p_k`` the share that rows of class ``k``
    have of the source's weights. Classes without weight in the source have none after; where
    the target has none of the source's classes the weights stay.

    Parameters
    ----------
    shares : ndarray of shape (n_classes,)
        Of the target's classes.
    y : ndarray of int of shape (n_source,)
        Classes of the source rows.
    weights : ndarray of shape (n_source,)
        Their weights.
    """
    n_classes = len(shares)
    source = class_shares(y, weights, n_classes)
    target = np.where(source > 0, shares, 0.0)
    factors = np.divide(target, source, out=np.zeros(n_classes), where=source > 0)
    weighted: np.ndarray = weights * factors[y]
    total = weighted.sum()
    if total == 0:
        return weights
    weighted *= weights.sum() / total
    return weighted


def explained_by_shares(
    source: np.ndarray, y: np.ndarray, weights: np.ndarray, target: np.ndarray, shares: np.ndarray
) -> float:
    """Return how much of the gap between the domains is one of class shares.

    ``1 - ||m_T - sum_k q_k m_k||^2 / ||m_T - sum_k p_k m_k||^2`` with the mean features
    ``m_T`` of the target and ``m_k`` of the source's classes, whose shares are ``p_k`` in
    the source and ``q_k`` in the target: 1 where rows of a class look alike in both domains,
    0 where these shares are no nearer to the target than the source's own, and below 0
    where they are farther off. 0 where there is no gap.

    Parameters
    ----------
    source : ndarray of shape (n_source, n_features)
        Features of source rows.
    y : ndarray of int of shape (n_source,)
        Their classes.
    weights : ndarray of shape (n_source,)
        Their weights.
    target : ndarray of shape (n_target, n_features)
        Features of target rows.
    shares : ndarray of shape (n_classes,)
        Of the target's classes.
    """
    gap = gap_of_means(source, weights, target)
    left = gap_of_means(source, weights_by_target_shares(shares, y, weights), target)
    return 1 - left / gap if gap > 0 else 0.0


def gap_of_means(source: np.ndarray, weights: np.ndarray, target: np.ndarray) -> float:
    """Return the squared distance between the means of the domains, weighted in the source."""
    between = target.mean(axis=0) - np.average(source, axis=0, weights=weights)
    return float(np.square(between).sum())


def left_by_shares(
    source: np.ndarray, y: np.ndarray, weights: np.ndarray, target: np.ndarray, shares: np.ndarray
) -> float:
    """Return the gap between the domains that class shares leave, over the source's spread.

    ``||m_T - sum_k q_k m_k||^2 / sum_j v_j``, with the variance ``v_j`` of feature ``j`` among the
    source's rows, and all else as in `explained_by_shares`: 0 where the means agree, and above 1
    where the target lies farther off than the source's rows lie from each other.
    """
    mean = np.average(source, axis=0, weights=weights)
    spread = np.average(np.square(source - mean).sum(axis=1), weights=weights)
    left = gap_of_means(source, weights_by_target_shares(shares, y, weights), target)
    return float(left / spread) if spread > 0 else float(left and np.inf)


def shares_differ(source: np.ndarray, target: np.ndarray, n_target: int) -> bool:
    """Say whether the total variation between shares of classes is no matter of chance.

    It is ``1/2 sum_k |q_k - p_k|``, and ``1/2 sum_k sqrt(2 p_k (1 - p_k) / (pi n))`` is to be
    expected of the shares ``q_k`` among ``n`` rows drawn with the shares ``p_k``.

    Parameters
    ----------
    source, target : ndarray of shape (n_classes,)
        Shares.
    n_target : int
        Rows in which those of the target were counted.
    """
    difference = np.abs(target - source).sum() / 2
    expected = np.sqrt(2 * source * (1 - source) / (np.pi * n_target)).sum() / 2
    return bool(difference > max(LEAST_DIFFERENCE, LEAST_BEYOND_CHANCE * expected))
