"""Target data that cross-validation cannot cut by the folds of the source."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Never

import numpy as np

from .._warning import warn


def is_dataset(X: Any) -> bool:
    """Whether `X` is a torch Dataset; torch is not imported for the question."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(X, torch.utils.data.Dataset)


class TargetDomain:
    """Target data that passes whole through any scikit-learn search.

    `GridSearchCV` and its like slice every array in ``fit(X, y, X_target=Xt)``
    that happens to be as long as `X` by the folds of `X`, silently. Rows of a
    source fold cannot be selected from a target: wrapped in this class, the
    target answers every selection with itself.

    Parameters
    ----------
    data : array-like or sparse matrix of shape (n_target, ...), or torch Dataset
        The target's rows (or labels, for `y_target`); kept as it is.
    *others : never
        Refused: labels are wrapped by themselves.

    Attributes
    ----------
    data : array-like or sparse matrix
        What was wrapped.
    shape, ndim, dtype
        As those of the data as an array.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import TargetDomain
    >>> target = TargetDomain(np.zeros((3, 2)))
    >>> target[[0, 1]] is target
    True
    >>> np.asarray(target).shape
    (3, 2)
    """

    data: Any

    def __init__(self, data: Any, *others: Never) -> None:
        if others:
            raise TypeError(
                f"TargetDomain wraps one thing; got {1 + len(others)}. Wrap labels by themselves: "
                "fit(X, y, X_target=TargetDomain(X_target), y_target=TargetDomain(y_target))."
            )
        rows: Any = data.data if isinstance(data, TargetDomain) else data
        if not is_dataset(rows):
            try:
                rows = rows if hasattr(rows, "shape") else np.asarray(rows)
            except ValueError as error:
                raise ValueError(
                    f"TargetDomain wraps rows of one length; got {data!r:.80} ({error})."
                ) from error
            if len(rows.shape) == 0:
                raise ValueError(f"TargetDomain wraps an array of rows; got {data!r}.")
        self.data = rows

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data; of a Dataset its length."""
        return tuple(self.data.shape) if hasattr(self.data, "shape") else (len(self.data),)

    @property
    def ndim(self) -> int:
        """Number of dimensions of the data."""
        return len(self.shape)

    @property
    def dtype(self):
        """Type of the data's elements as an array."""
        return self.data.dtype if hasattr(self.data, "dtype") else np.asarray(self.data).dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows) -> TargetDomain:
        return self

    def __iter__(self) -> Iterator[Any]:
        if is_dataset(self.data):  # which need not say where it ends
            return (self.data[row] for row in range(len(self)))
        # A frame would give the names of its columns.
        return iter(self.data.to_numpy() if hasattr(self.data, "to_numpy") else self.data)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        if hasattr(self.data, "toarray") or is_dataset(self.data):
            raise TypeError(
                "This TargetDomain holds a sparse matrix or a Dataset, which is not to become an "
                "array. Put the steps in make_transfer_pipeline, which hands on the data itself."
            )
        if copy:
            return np.array(self.data, dtype=dtype)
        return np.asarray(self.data, dtype=dtype)

    def __repr__(self) -> str:
        return f"TargetDomain({type(self.data).__name__} of shape {self.shape})"


def warn_where_scikit_learn_came_between(X_target, n_source: int, n_target: int | None) -> None:
    """Warn where a search may have cut the target, and where a pipeline let it pass by."""
    warn_where_folds_may_have_cut(X_target, n_source, n_target)
    warn_where_a_pipeline_let_it_pass()


# What in scikit-learn fits an estimator to some of the rows, with arguments cut likewise.
FITTING_A_PART = frozenset(
    {
        "_fit_and_score",
        "_fit_and_predict",
        "_permutation_test_score",
        "_fit_and_score_over_thresholds",
        "_fit_classifier_calibrator_pair",
        "_rfe_single_fit",
    }
)


def warn_where_folds_may_have_cut(X_target, n_source: int, n_target: int | None) -> None:
    """Warn where a fold is fitted, and a bare target is exactly as long as that.

    Scikit-learn cuts whatever is as long as the whole of `X`. What arrives here says no
    more of it, so the length and the caller are all there is to notice it by.
    """
    if isinstance(X_target, TargetDomain) or n_source != n_target:
        return
    if find_caller(lambda frame: frame.f_code.co_name in FITTING_A_PART) is None:
        return
    warn(
        f"X_target has {n_source} rows inside a search or cross-validation, as many as the source "
        "fold: it was cut by the source's folds if it is as long as X. Wrap it, "
        "X_target=TargetDomain(X_target), and it stays whole."
    )


def warn_where_a_pipeline_let_it_pass() -> None:
    """Warn where scikit-learn's `Pipeline` fits its last step and has transformed `X` alone.

    Nothing that arrives says so; the caller does.
    """
    frame = find_caller(lambda frame: frame.f_globals.get("__name__") == "sklearn.pipeline")
    if frame is None or frame.f_code.co_name not in {"fit", "fit_predict", "fit_transform"}:
        return  # a step before the last is asked by another function
    pipeline = frame.f_locals["self"]
    passed = [name for name, step in pipeline.steps[:-1] if step not in (None, "passthrough")]
    if passed and "X_target" not in (getattr(pipeline, "transform_input", None) or ()):
        warn(
            f"X_target came as it is past {passed} of scikit-learn's Pipeline, which transformed X "
            "alone: the domains now differ by that, and predict transforms rows of the target. "
            "Use sktransfer.make_transfer_pipeline(...).fit(X, y, X_target=X_target), which takes "
            "the target through the same steps."
        )


def warn_where_labels_of_the_source_were_transformed() -> None:
    """Warn where `TransformedTargetRegressor` fits, which transforms `y` and no `y_target`."""
    frame = find_caller(lambda frame: frame.f_globals.get("__name__") == "sklearn.compose._target")
    if frame is None:
        return
    warn(
        "y_target came as it is through scikit-learn's TransformedTargetRegressor, which "
        "transformed y alone: the two are now in different units, and predict transforms back "
        "what was learned of both. Transform both by hand, fit(X, func(y), X_target=X_target, "
        "y_target=func(y_target)), and back, inverse_func(predict(X))."
    )


def say_where_columns_were_cut() -> str:
    """Return what to do where a `ColumnTransformer` fits the step that asks; nothing elsewhere."""
    wanted = "sklearn.compose._column_transformer"
    if find_caller(lambda frame: frame.f_globals.get("__name__") == wanted) is None:
        return ""
    return (
        " A ColumnTransformer cuts X alone: let it pick and encode the columns, and put the step "
        "that learns from both domains behind it, make_transfer_pipeline(ColumnTransformer(...), "
        "step, ...)."
    )


def find_caller(is_wanted: Callable[[FrameType], bool]) -> FrameType | None:
    """Return the innermost of the calls that led here for which that holds."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not is_wanted(frame):
        frame = frame.f_back
    return frame
