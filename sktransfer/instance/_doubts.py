"""What speaks against estimated shares of a target's classes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# Below this singular value of P(predicted | class), shares are hardly determined.
LEAST_SINGULAR_VALUE = 0.05

# With fewer rows of the target for each class, shares are those of the draw: with 5 a class "em"
# has lost .05 of accuracy on digits that had not shifted, with 1 .31, with 10 none.
LEAST_ROWS_PER_CLASS = 10


def doubts_of_shares(
    method: str, n_target: int, confusion: np.ndarray, is_held_out: bool
) -> Iterator[str]:
    """Yield warnings of what the estimates of a target's shares rest on.

    Parameters
    ----------
    method : {"em", "bbse", "rlls"}
        Of estimating them.
    n_target : int
        Rows of the target.
    confusion : ndarray of shape (n_classes, n_classes)
        Shares of rows of the source (row: predicted; column: class).
    is_held_out : bool
        Whether these rows were not trained on.
    """
    n_classes = len(confusion)
    if n_target < LEAST_ROWS_PER_CLASS * n_classes:
        yield (
            f"The shares of {n_classes} classes were estimated from {n_target} rows "
            "of the target, and are mostly those of this draw: other rows of it will be "
            f"corrected wrongly. Give at least {LEAST_ROWS_PER_CLASS} rows for each class; "
            "target_priors_interval_ tells how unsure they are."
        )
    if not is_held_out:
        yield (
            "A class has a single row, so nothing could be held out: the calibration and the "
            "shares of classes rest on rows that the estimator was fitted to."
        )
    given_class = confusion / np.maximum(confusion.sum(axis=0), np.finfo(float).tiny)
    least = np.linalg.svd(given_class, compute_uv=False).min()
    if method != "em" and least < LEAST_SINGULAR_VALUE:
        yield (
            f"The confusion matrix is near singular (least singular value {least:.1g}): some "
            "classes are taken for each other, and their shares are hardly determined. Join "
            'these classes, or take method="em".'
        )
