"""How well classes with and without training rows are told apart, together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..validation._arrays import check_same_length


class ZeroShotScore(NamedTuple):
    """Mean accuracies of seen and unseen classes, and their harmonic mean.

    Parameters
    ----------
    seen, unseen : float
        Mean over these classes of the share of a class's rows that is right; NaN where none
        has a row.
    harmonic_mean : float
        ``2 s u / (s + u)`` of the two, 0 where both are 0.
    """

    seen: float
    unseen: float
    harmonic_mean: float


def class_accuracy(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the mean over classes of the share of their rows that is right, NaN without rows."""
    if len(y_true) == 0:
        return float("nan")
    _, codes = np.unique(y_true, return_inverse=True)
    right = np.bincount(codes, weights=y_true == y_pred)
    return float(np.mean(right / np.bincount(codes)))


def harmonic_mean(a: float, b: float) -> float:
    """Return ``2 a b / (a + b)``, 0 where both are 0."""
    return 2 * a * b / (a + b) if a + b != 0 else 0.0


def zero_shot_score(y_true, y_pred, seen_classes) -> ZeroShotScore:
    """Return the accuracies of seen and unseen classes, and their harmonic mean.

    An accuracy is the mean over classes of the share of the class's rows that is right. A
    classifier that takes every row for a seen class has unseen accuracy and harmonic mean 0.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels.
    y_pred : array-like of shape (n_rows,)
        What was predicted, with ``candidates="all"``.
    seen_classes : array-like
        Labels of the classes that had training rows, ``seen_classes_`` of the classifier.

    Returns
    -------
    ZeroShotScore
        ``seen``, ``unseen`` and ``harmonic_mean``; NaN where there is no such row.

    Raises
    ------
    ValueError
        For another number of predictions than of labels.

    References
    ----------
    Xian et al., "Zero-shot learning - a comprehensive evaluation of the good, the bad and the
    ugly", TPAMI 41 (2019), eq. 14.

    Examples
    --------
    >>> from sktransfer.zeroshot import zero_shot_score
    >>> zero_shot_score([1, 1, 2, 2], [1, 1, 2, 1], seen_classes=[1])
    ZeroShotScore(seen=1.0, unseen=0.5, harmonic_mean=0.6666666666666666)
    """
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    check_same_length(len(y_true), "y_true", y_pred, "y_pred")
    is_seen = np.isin(y_true, np.asarray(seen_classes))
    seen = class_accuracy(y_true[is_seen], y_pred[is_seen])
    unseen = class_accuracy(y_true[~is_seen], y_pred[~is_seen])
    return ZeroShotScore(seen, unseen, harmonic_mean(seen, unseen))
