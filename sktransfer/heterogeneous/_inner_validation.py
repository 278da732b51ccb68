"""Does the source help? Labelled target rows are held out, for the model and a plain one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from ..data._domain import Domain
from ..data._lazy import LazyArray


def spread_over_folds(y: np.ndarray, n_folds: int) -> np.ndarray:
    """Return a fold for each row: those of a class go to one fold after the other.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        Labels. Where a class ends the next one goes on, so that folds are of equal size,
        give or take a row.
    n_folds : int

    Returns
    -------
    ndarray of int of shape (n_rows,)
    """
    folds = np.empty(len(y), dtype=int)
    folds[np.argsort(y, kind="stable")] = np.arange(len(y)) % n_folds
    return folds


def hold_out(target: Domain, n_folds: int) -> Iterator[tuple[Domain, np.ndarray]]:
    """Yield the target with some labels taken away, and the rows that these were of.

    Parameters
    ----------
    target : Domain
        Of whose rows at least two have labels.
    n_folds : int
        At most; not more than there are labels.
    """
    has_label = np.ones(len(target), bool) if target.has_label is None else target.has_label
    labelled = np.flatnonzero(has_label)
    folds = spread_over_folds(target.labels[labelled], min(n_folds, len(labelled)))
    for fold in np.unique(folds):
        held = labelled[folds == fold]
        left = has_label.copy()
        left[held] = False
        yield Domain(target.X, target.y, target.sample_weight, left), held


def predict_plainly(target: Domain, held: np.ndarray) -> np.ndarray:
    """Return what logistic regression on the labelled rows alone says of others.

    The features are scaled to standard deviation 1 over all of these rows.
    """
    assert target.has_label is not None
    known = np.flatnonzero(target.has_label)
    X, X_held = (_flat(target.X, rows) for rows in (known, held))
    if len(np.unique(target.labels[known])) == 1:
        return np.full(len(held), target.labels[known[0]])
    is_sparse = scipy.sparse.issparse(X)
    scale = StandardScaler(with_mean=not is_sparse)
    scale.fit((scipy.sparse.vstack if is_sparse else np.concatenate)([X, X_held]))
    # Enough steps for some dozen rows; where not, what they have reached is good enough to compare.
    plain = LogisticRegression(max_iter=1000, tol=1e-3)
    plain.fit(scale.transform(X), target.labels[known])
    answers: np.ndarray = plain.predict(scale.transform(X_held))
    return answers


def _flat(X: Any, rows: np.ndarray) -> Any:
    """Return rows with one axis, as scikit-learn takes them."""
    if scipy.sparse.issparse(X):
        return X[rows]
    taken = X.read(rows).numpy() if isinstance(X, LazyArray) else X[rows]
    return np.asarray(taken, dtype=float).reshape(len(rows), -1)


def describe_no_gain(right: int, right_alone: int, n_rows: int) -> str | None:
    """Return a warning where the model was right in no more held-out rows than the plain one."""
    if right > right_alone:
        return None
    return (
        f"Of {n_rows} labelled rows of the target, each held out once, this method was right in "
        f"{right}, logistic regression on the other labelled ones alone in {right_alone}: the "
        "source seems not to help. Compare the two on further labels, and take the plain one if "
        "they tell the same; `inner_folds=0` leaves this check out."
    )
