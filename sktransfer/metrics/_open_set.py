"""How well known classes are told apart and unknown ones recognised, as one number."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def open_set_score(y_true: ArrayLike, y_pred: ArrayLike, *, unknown_label: Any) -> float:
    """Return the harmonic mean of accuracy on known classes and on what is unknown (HOS).

    ``2 a b / (a + b)`` with ``a`` the mean over known classes of the share of their rows
    that are predicted as what they are, and ``b`` the share of unknown rows that are
    predicted as unknown. A classifier that knows no unknown, or nothing else, has 0.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels; `unknown_label` for rows of classes that the source does not have.
    y_pred : array-like of shape (n_samples,)
        What was predicted.
    unknown_label : str, int or float
        The label of what is unknown.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        For arrays of different lengths, and where `y_true` has no unknown rows, or no
        others.

    References
    ----------
    Bucci, Loghmani and Tommasi, "On the Effectiveness of Image Rotation for Open Set
    Domain Adaptation", ECCV 2020, section 4.

    Examples
    --------
    >>> from sktransfer.metrics import open_set_score
    >>> open_set_score([0, 0, 1, 1, -1, -1], [0, 0, 1, 0, -1, 1], unknown_label=-1)
    0.6
    """
    true, predicted = np.asarray(y_true), np.asarray(y_pred)
    if true.ndim != 1 or true.shape != predicted.shape:
        raise ValueError(
            f"y_true has shape {true.shape} and y_pred {predicted.shape}; both must have one "
            "label for each row."
        )
    is_unknown, right = true == unknown_label, true == predicted
    if is_unknown.all() or not is_unknown.any():
        raise ValueError(
            f"y_true must hold rows of unknown_label={unknown_label!r} and others; it holds "
            f"{int(is_unknown.sum())} such rows of {len(true)}. Give unknown_label to the rows "
            "of every class that the source does not have."
        )
    known = float(np.mean([right[true == label].mean() for label in np.unique(true[~is_unknown])]))
    unknown = float(right[is_unknown].mean())
    return 2 * known * unknown / (known + unknown) if known + unknown > 0 else 0.0
