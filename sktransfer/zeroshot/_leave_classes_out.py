"""Folds of classes instead of rows."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import column_or_1d


class LeaveClassesOut:
    """Splits whose test rows are all rows of classes that the training rows lack.

    What a classifier makes of classes it never saw is only told by such. Classes are drawn so
    that none is left out again before all others, but for a remainder, have been. The splits
    depend on which classes there are, not on rows or their order.

    Parameters
    ----------
    n_classes : int, default=3
        Classes that a split leaves out; at least two must stay.
    n_splits : int, default=5
        Splits.
    random_state : int, RandomState instance or None, default=0
        Decides which classes are left out together.

    Notes
    -----
    In a search, give the classifier descriptions of the labelled classes alone. Others would be
    candidates in each fold, too, without a row that could be right.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.zeroshot import LeaveClassesOut
    >>> y = np.repeat(["ant", "bee", "cat", "dog"], 2)
    >>> for train, test in LeaveClassesOut(2, n_splits=2).split(y, y):
    ...     print(sorted(set(y[train].tolist())), sorted(set(y[test].tolist())))
    ['ant', 'bee'] ['cat', 'dog']
    ['cat', 'dog'] ['ant', 'bee']
    """

    def __init__(self, n_classes: int = 3, *, n_splits: int = 5, random_state: Any = 0):
        self.n_classes = n_classes
        self.n_splits = n_splits
        self.random_state = random_state

    def split(self, X, y=None, groups=None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield row numbers to train on and to test on.

        Parameters
        ----------
        X : array-like of shape (n_rows, ...)
            Not looked at.
        y : array-like of shape (n_rows,)
            Labels.
        groups : None
            Not looked at.

        Raises
        ------
        ValueError
            Without labels, or where fewer than two classes would stay.
        """
        if y is None:
            raise ValueError("LeaveClassesOut splits by classes, but y is None: give the labels.")
        for name, least in (("n_classes", 1), ("n_splits", 1)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} is {value!r}; it must be a whole number >= {least}.")
        classes, codes = np.unique(column_or_1d(y), return_inverse=True)
        if len(classes) < self.n_classes + 2:
            raise ValueError(
                f"n_classes={self.n_classes} of {len(classes)} classes cannot be left out: two "
                f"must stay. Give n_classes <= {len(classes) - 2} or rows of more classes."
            )
        for left_out in self._draw(len(classes)):
            is_test = np.isin(codes, left_out)
            yield np.flatnonzero(~is_test), np.flatnonzero(is_test)

    def _draw(self, n_classes: int) -> Iterator[np.ndarray]:
        random_state = check_random_state(self.random_state)
        drawn = 0
        while True:
            order = random_state.permutation(n_classes)
            for start in range(0, n_classes - self.n_classes + 1, self.n_classes):
                yield order[start : start + self.n_classes]
                drawn += 1
                if drawn == self.n_splits:
                    return

    def get_n_splits(self, X=None, y=None, groups=None) -> int:
        """Return the number of splits."""
        return self.n_splits

    def __repr__(self) -> str:
        return (
            f"LeaveClassesOut({self.n_classes}, n_splits={self.n_splits}, "
            f"random_state={self.random_state!r})"
        )
