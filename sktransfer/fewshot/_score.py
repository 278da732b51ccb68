"""Accuracy on episodes of classes that were not trained on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted, column_or_1d

from ..engine._engine import to_numpy
from ..validation._arguments import check_random_state
from ..validation._arrays import as_array, check_same_length
from ..validation._naming import named
from ._support import SupportMixin

# Labels of some rows by the rows and labels of others.
Answer = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class FewShotScore(NamedTuple):
    """What `few_shot_score` found.

    Parameters
    ----------
    mean : float
        Mean accuracy of the episodes.
    half_width : float
        Half of its 95% interval, ``1.96 s / sqrt(n)`` with ``s`` the standard deviation
        of the ``n`` accuracies.
    scores : ndarray of shape (n_episodes,)
        The accuracies.
    """

    mean: float
    half_width: float
    scores: np.ndarray

    def __str__(self) -> str:
        return f"{self.mean:.3f} +- {self.half_width:.3f}"


def few_shot_score(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    groups: Any = None,
    n_way: int = 5,
    n_shot: int = 1,
    n_query: int = 15,
    n_episodes: int = 600,
    random_state: Any = None,
) -> FewShotScore:
    """Return the accuracy on random small problems, with a 95% interval.

    For each episode `n_way` classes are drawn, of each `n_shot` rows for the support and
    up to `n_query` others to be asked about; the accuracy is that on the latter. Take
    classes that the estimator has not been trained on.

    Parameters
    ----------
    estimator : classifier
        One of `sktransfer.fewshot`, fitted: each episode shows it the support (itself it
        keeps its classes). Any other is cloned and fitted on each support, to compare.
    X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features) or (n_samples, ...)
        Rows of the classes to draw from.
    y : array-like of shape (n_samples,)
        Their labels.
    groups : array-like of shape (n_samples,), default=None
        An episode's classes are of one group, drawn at random among those that have
        enough classes: alphabets for characters, say. None is one group for all.
    n_way, n_shot, n_query : int
        Classes of an episode, and rows of each.
    n_episodes : int, default=600
        How many.
    random_state : int, RandomState instance or None, default=None
        Decides what is drawn.

    Returns
    -------
    FewShotScore
        With ``mean``, ``half_width`` of the interval, and the ``scores``.

    Raises
    ------
    ValueError
        Where there are too few classes with more than `n_shot` rows, or numbers below
        their least.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktransfer.fewshot import NearestPrototypeClassifier, few_shot_score
    >>> X, y = load_digits(return_X_y=True)
    >>> old = y < 5
    >>> clf = NearestPrototypeClassifier().fit(X[old], y[old])
    >>> score = few_shot_score(clf, X[~old], y[~old], n_way=5, n_episodes=100, random_state=0)
    >>> bool(0.6 < score.mean < 0.8), score.half_width < 0.03
    (True, True)
    """
    for name, value, least in (
        ("n_way", n_way, 2),
        ("n_shot", n_shot, 1),
        ("n_query", n_query, 1),
        ("n_episodes", n_episodes, 1),
    ):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{name} must be an integer of at least {least}; got {value!r}.")
    with named("y"):
        y = column_or_1d(as_array(y, "y"))
    pools = _pools(y, groups, n_way, n_shot)
    generator = check_random_state(random_state)
    rows, answer = _what_answers(estimator, X)
    check_same_length(rows.shape[0], "X", y, "y")
    take = rows.iloc.__getitem__ if hasattr(rows, "iloc") else rows.__getitem__
    scores = np.empty(n_episodes)
    for number in range(n_episodes):
        classes = pools[generator.randint(len(pools))]
        chosen = [classes[k] for k in generator.permutation(len(classes))[:n_way]]
        drawn = [pool[generator.permutation(len(pool))[: n_shot + n_query]] for pool in chosen]
        support = np.concatenate([part[:n_shot] for part in drawn])
        queries = np.concatenate([part[n_shot:] for part in drawn])
        found = answer(take(support), y[support], take(queries))
        scores[number] = np.mean(found == y[queries])
    spread = scores.std(ddof=1) if n_episodes > 1 else np.nan
    return FewShotScore(float(scores.mean()), float(1.96 * spread / n_episodes**0.5), scores)


def _pools(y: np.ndarray, groups: Any, n_way: int, n_shot: int) -> list[list[np.ndarray]]:
    """Return, for each group with enough classes, the rows of each of its classes."""
    groups = np.zeros(len(y), int) if groups is None else column_or_1d(np.asarray(groups))
    check_same_length(len(y), "y", groups, "groups")
    pools, most = [], 0
    for group in np.unique(groups):
        of_group = np.flatnonzero(groups == group)
        classes = [of_group[y[of_group] == label] for label in np.unique(y[of_group])]
        classes = [rows for rows in classes if len(rows) > n_shot]
        most = max(most, len(classes))
        if len(classes) >= n_way:
            pools.append(classes)
    if not pools:
        raise ValueError(
            f"n_way={n_way}, but no group has so many classes of more than n_shot={n_shot} rows; "
            f"the most is {most}. Lower n_way or n_shot, or leave groups out."
        )
    return pools


def _what_answers(estimator: Any, X: Any) -> tuple[np.ndarray, Answer]:
    """Return rows, or what a fitted body makes of them once for all episodes, and what answers."""
    if not isinstance(estimator, SupportMixin):
        X = as_array(X, "X")
        X = X.tocsr() if issparse(X) else X if hasattr(X, "shape") else np.asarray(X)
        return X, lambda support, y, queries: clone(estimator).fit(support, y).predict(queries)
    check_is_fitted(
        estimator,
        msg="This %(name)s instance is not fitted yet: an episode shows its body a support, and "
        "trains nothing. Fit it first on rows of other classes than these, fit(X_base, y_base).",
    )

    def answer(support: np.ndarray, y: np.ndarray, queries: np.ndarray) -> np.ndarray:
        task, head = estimator._head_upon(support, y)
        with torch.inference_mode():
            net = estimator.net_
            shown = torch.from_numpy(queries).to(net.engine.device, net.module_.feature_type)
            return task.answers(to_numpy(head(shown)))

    return estimator.transform(X), answer
