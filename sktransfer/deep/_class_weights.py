"""Weights of classes in a loss."""

from __future__ import annotations

from typing import Any

import numpy as np


def weigh_classes(
    class_weight: Any, classes: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None
) -> np.ndarray | None:
    """Return a weight for each class, scaled to mean 1 over the (weighted) rows.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        By label; labels left out weigh 1. "balanced" is ``1 / n_c`` with ``n_c``
        the (weighted) rows of a class.
    classes : ndarray of shape (n_classes,)
        The labels.
    y : ndarray of shape (n_rows,)
        Numbers of their classes.
    sample_weight : ndarray of shape (n_rows,) or None
        Weights of the rows.

    Raises
    ------
    ValueError
        For labels that are no class, and for weights that leave nothing.
    """
    if class_weight is None:
        return None
    counts = np.bincount(y, sample_weight, minlength=len(classes)).astype(float)
    if isinstance(class_weight, str):
        weights = np.divide(1.0, counts, out=np.zeros_like(counts), where=counts > 0)
    else:
        unknown = [label for label in class_weight if label not in classes.tolist()]
        if unknown:
            raise ValueError(
                f"class_weight names {unknown}, which are no classes here; the classes are "
                f"{classes.tolist()}."
            )
        weights = np.array([class_weight.get(label, 1.0) for label in classes.tolist()], float)
    total = (weights * counts).sum()
    if not (np.isfinite(weights).all() and (weights >= 0).all() and total > 0):
        raise ValueError(
            f"class_weight={class_weight!r} must give finite weights of 0 or more, above 0 for "
            "some class that has rows."
        )
    scaled: np.ndarray = weights * counts.sum() / total
    return scaled
