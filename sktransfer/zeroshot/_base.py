"""What zero-shot classifiers share: descriptions, candidates, calibration and an inner search."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Never, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state

from .._docs import BLOCKS
from .._estimator import AtomicFitMixin
from .._row_order import make_folds
from .._warning import warn
from ..validation._arguments import refuse_unknown
from ..validation._constraints import HasMethods, Interval, Real, StrOptions
from ..validation._domains import check_domains, check_rows_to_predict
from ._descriptions import Described, describe
from ._search import (
    Rows,
    check_grid,
    choose_calibration,
    choose_parameters,
    make_splitter,
    with_parameters,
)

FLOATS = [np.float64, np.float32]

BLOCKS["zero_shot_parameters"] = """\
candidates : {"unseen", "all"}, default="unseen"
    What `predict` chooses among: the described classes without rows, or all described.
calibration : float or "auto", default=0.0
    With ``candidates="all"`` this is taken from the scores of seen classes, which otherwise
    attract rows of unseen ones (calibrated stacking, Chao et al., ECCV 2016). "auto" chooses it
    by classes and rows that are left out.
search : dict, "auto" or None, default="auto"
    Values of parameters to choose from, by the mean accuracy among seen classes that are left out,
    whole; the unseen ones have no part in it. "auto" is the method's own grid, if it has one (see
    Notes), and None takes the parameters as they stand. Without descriptions nothing is searched,
    nor by "auto" with fewer than four seen classes.
cv : splitter or None, default=None
    Of the inner search. None is ``LeaveClassesOut`` with ten splits, which leave out as many
    classes as are unseen, but at least two and at most half."""

# Groups of classes alike of which a warning tells.
MOST_GROUPS_NAMED = 3

BLOCKS["descriptions_parameter"] = """\
descriptions : mapping, pandas.DataFrame or None, default=None
    A vector for each class, seen or unseen: label -> vector, or a frame whose index holds the
    labels. None describes the seen classes one-hot: a plain classifier among these."""

BLOCKS["zero_shot_attributes"] = """\
classes_ : ndarray of shape (n_candidates,)
    Labels that `predict` chooses among, sorted.
seen_classes_ : ndarray of shape (n_seen,)
    Labels of `y`.
unseen_classes_ : ndarray of shape (n_unseen,)
    Labels that are described and not in `y`.
calibration_ : float
    What was taken from the scores of seen classes.
best_params_ : dict
    What the inner search chose; empty without one.
best_score_ : float
    Mean accuracy of these among left-out classes; NaN without a search.
n_features_in_ : int
    Columns.
feature_names_in_ : ndarray of str
    Their names, where `X` had names of strings."""


class BaseZeroShotClassifier(AtomicFitMixin, ClassifierMixin, BaseEstimator):
    """Learns from seen classes how rows go with descriptions, and scores any described class.

    A method says how, by `_learn` and `_scores`, which leaves what it learns in attributes that
    end in an underscore, and reads these alone to score.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "descriptions": "no_validation",
        "candidates": [StrOptions({"unseen", "all"})],
        "calibration": [Interval(Real, None, None, closed="neither"), StrOptions({"auto"})],
        "search": [StrOptions({"auto"}), dict, None],
        "cv": [HasMethods("split"), None],
    }
    # What the inner search may vary: what only `_learn` reads.
    _searchable: ClassVar[tuple[str, ...]] = ()
    # What ``search="auto"`` chooses from.
    _default_grid: ClassVar[dict[str, Any]] = {}

    descriptions: Any
    candidates: str
    calibration: Any
    search: Any
    cv: Any
    n_features_in_: int

    @abstractmethod
    def _learn(self, X: np.ndarray, codes: np.ndarray, vectors: np.ndarray) -> None:
        """Set what is learned from rows, the numbers of their classes and the classes' vectors."""

    @abstractmethod
    def _scores(self, X: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """Return how well each row goes with each vector (n_rows, n_vectors)."""

    def fit(self, X, y, **unknown: Never) -> Self:
        """Learn from rows of the seen classes.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.
        y : array-like of shape (n_rows,)
            Their labels.
        **unknown : never
            Any other name is refused.

        Returns
        -------
        self : object
            The fitted classifier.

        Raises
        ------
        ValueError, TypeError
            For parameters, descriptions or data that cannot be used.
        """
        refuse_unknown(unknown, ("X", "y"), self)
        fitted = self._begin_fit()
        source = check_domains(fitted, X, y, dtype=FLOATS).source
        fitted._fit(source.X, source.y)
        return self._end_fit(fitted)

    def _fit(self, X: np.ndarray, y: np.ndarray) -> None:
        self.seen_classes_, codes = np.unique(y, return_inverse=True)
        described = describe(self.descriptions, self.seen_classes_)
        self._set_candidates(described)
        rows = Rows(X, codes, described.vectors[described.is_seen])
        splitter = make_splitter(self.cv, len(self.seen_classes_), len(self.unseen_classes_))
        self.best_params_, self.best_score_ = self._search(rows, splitter)
        best = with_parameters(self, self.best_params_)
        self.calibration_ = self._calibrate(best, rows, splitter)
        best._learn(*rows)
        learned = {name: value for name, value in vars(best).items() if name.endswith("_")}
        self.__dict__.update(learned)
        self._warn_where_candidates_are_alike()

    def _compared(self, vectors: np.ndarray) -> np.ndarray:
        """Return of descriptions what scores depend on."""
        return vectors

    def _warn_where_candidates_are_alike(self) -> None:
        """Warn of candidates with one description, of which the first gets all rows."""
        compared = self._compared(self.candidate_descriptions_)
        _, group, sizes = np.unique(compared, axis=0, return_inverse=True, return_counts=True)
        for alike in np.flatnonzero(sizes > 1)[:MOST_GROUPS_NAMED]:
            names = self.classes_[group.ravel() == alike].tolist()
            warn(
                f"descriptions tell the classes {names[:10]} not apart, as {type(self).__name__} "
                f"sees them: all rows of these are predicted as {names[0]!r}. Describe what "
                "differs between them, or name them as one."
            )

    def _set_candidates(self, described: Described) -> None:
        self.unseen_classes_ = described.classes[~described.is_seen]
        is_candidate = np.ones(len(described.classes), dtype=bool)
        if self.descriptions is not None and self.candidates == "unseen":
            is_candidate = ~described.is_seen
        if not is_candidate.any():
            raise ValueError(
                "descriptions hold no class besides those of y, so candidates='unseen' leaves none "
                "to predict. Describe unseen classes, or give candidates='all'."
            )
        self.classes_ = described.classes[is_candidate]
        self.candidate_descriptions_ = described.vectors[is_candidate]
        self._is_seen = described.is_seen[is_candidate]

    def _search(self, rows: Rows, splitter: Any) -> tuple[dict[str, Any], float]:
        grid = self.search
        if grid == "auto":
            grid = self._default_grid if splitter is not None else None
        if not grid or self.descriptions is None:
            return {}, float("nan")
        check_grid(grid, self._searchable)
        return choose_parameters(self, rows, grid, self._needed(splitter, "search"))

    def _calibrate(self, model: Any, rows: Rows, splitter: Any) -> float:
        if self.descriptions is None or self.candidates == "unseen":
            return 0.0
        if self.calibration != "auto":
            return float(self.calibration)
        splitter = self._needed(splitter, "calibration='auto'")
        held_out = make_folds(rows.X, rows.codes, 5, check_random_state(0))[0]
        return choose_calibration(model, rows, splitter, held_out)

    def _needed(self, splitter: Any, name: str) -> Any:
        if splitter is None:
            raise ValueError(
                f"{name} leaves out two classes and needs two more to learn from, but y has "
                f"{len(self.seen_classes_)}. Set the parameters yourself and search=None."
            )
        return splitter

    def decision_function(self, X):
        """Return how well rows go with each candidate.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_rows, n_candidates) or (n_rows,)
            Scores in the order of ``classes_``, of seen ones less ``calibration_``; for two
            candidates what the second has more than the first.
        """
        scores = self._candidate_scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict(self, X):
        """Return the candidate that goes with each row best.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_rows,)
            Labels.
        """
        best = self._candidate_scores(X).argmax(axis=1)
        return self.classes_[best]

    def _candidate_scores(self, X) -> np.ndarray:
        X = check_rows_to_predict(self, X, dtype=FLOATS)
        return self._scores(X, self.candidate_descriptions_) - self.calibration_ * self._is_seen

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
