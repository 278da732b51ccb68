"""Parameters chosen by classes that were left out, never by those that nobody has seen."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from ._leave_classes_out import LeaveClassesOut
from ._score import class_accuracy, harmonic_mean


class Rows(NamedTuple):
    """Rows, the numbers of their classes, and all classes' vectors."""

    X: np.ndarray
    codes: np.ndarray
    vectors: np.ndarray

    def take(self, rows: np.ndarray) -> Rows:
        """Return some rows, of classes that are numbered anew."""
        present, codes = np.unique(self.codes[rows], return_inverse=True)
        return Rows(self.X[rows], codes, self.vectors[present])


def check_grid(grid: Any, searchable: tuple[str, ...]) -> None:
    """Refuse what is no grid of these parameters.

    Raises
    ------
    ValueError
        Naming the parameter.
    """
    for name, values in grid.items():
        if name.partition("__")[0] not in searchable:
            raise ValueError(
                f"search has {name!r}; it may hold {', '.join(searchable)}. Search others with "
                "GridSearchCV(..., cv=LeaveClassesOut())."
            )
        if isinstance(values, str) or not np.iterable(values) or len(list(values)) == 0:
            raise ValueError(f"search[{name!r}] is {values!r}; it must be a list of values.")


def make_splitter(cv: Any, n_seen: int, n_unseen: int) -> Any:
    """Return `cv`; for None one that leaves out as many as are unseen, if so many can be."""
    if cv is not None:
        return cv
    n_left_out = min(max(n_unseen, 2), n_seen // 2)
    return None if n_left_out < 2 else LeaveClassesOut(n_left_out, n_splits=10)


def choose_parameters(
    model: Any, rows: Rows, grid: Mapping[str, Any], splitter: Any
) -> tuple[dict[str, Any], float]:
    """Return the values of best mean accuracy among left-out classes, and this accuracy.

    Of equals the first is taken.
    """
    best: dict[str, Any] = {}
    best_score = -np.inf
    for values in itertools.product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        score = np.mean(
            [
                _accuracy(with_parameters(model, chosen), rows.take(train), rows.take(test))
                for train, test in splitter.split(rows.X, rows.codes)
            ]
        )
        if score > best_score:
            best, best_score = chosen, float(score)
    return best, best_score


def with_parameters(model: Any, chosen: Mapping[str, Any]) -> Any:
    """Return an unfitted clone with other, checked parameters."""
    twin = clone(model).set_params(**chosen)
    twin._validate_params()
    return twin


def _accuracy(model: Any, train: Rows, test: Rows) -> float:
    model._learn(*train)
    return class_accuracy(test.codes, model._scores(test.X, test.vectors).argmax(axis=1))


def choose_calibration(model: Any, rows: Rows, splitter: Any, held_out: np.ndarray) -> float:
    """Return the calibration of best mean harmonic mean of seen and left-out classes.

    A fold's test rows are those of its left-out classes and the `held_out` of others.
    """
    margins, rights, codes, seen = [], [], [], []
    for train, test in splitter.split(rows.X, rows.codes):
        learned = rows.take(np.setdiff1d(train, held_out))
        test = np.concatenate([test, np.intersect1d(train, held_out)])
        kept = np.unique(rows.codes[np.setdiff1d(train, held_out)])
        model._learn(*learned)
        scores = model._scores(rows.X[test], rows.vectors)
        is_seen = np.isin(np.arange(len(rows.vectors)), kept)
        best = [np.where(mask, scores, -np.inf) for mask in (is_seen, ~is_seen)]
        margins.append(best[0].max(axis=1) - best[1].max(axis=1))
        rights.append(np.stack([one.argmax(axis=1) for one in best]) == rows.codes[test])
        codes.append(rows.codes[test])
        seen.append(is_seen[rows.codes[test]])
    candidates = np.quantile(np.maximum(np.concatenate(margins), 0), np.linspace(0, 1, 101))
    values = [
        np.mean(
            [
                _harmonic(*fold, calibration)
                for fold in zip(margins, rights, codes, seen, strict=True)
            ]
        )
        for calibration in candidates
    ]
    return float(candidates[int(np.argmax(values))])


def _harmonic(margins, rights, codes, seen, calibration: float) -> float:
    right = np.where(margins >= calibration, rights[0], rights[1])
    predicted = np.where(right, codes, -1)
    return harmonic_mean(
        class_accuracy(codes[seen], predicted[seen]),
        class_accuracy(codes[~seen], predicted[~seen]),
    )
