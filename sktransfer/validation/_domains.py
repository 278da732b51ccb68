"""Checks of the domains that `fit` is given, and of rows to predict, without torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import get_tags
from sklearn.utils.validation import (
    check_array,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from ..data._domain import Domain, Domains
from ..data._target_domain import (
    is_dataset,
    say_where_columns_were_cut,
    warn_where_labels_of_the_source_were_transformed,
    warn_where_scikit_learn_came_between,
)
from ._arrays import as_array, check_same_columns, check_same_length, check_sample_weight, n_rows_of
from ._measured import check_classes, looks_measured
from ._naming import check_values, named
from ._target_labels import (
    beside_labels_of,
    check_all_labelled,
    with_labels,
)


class ArrayRows:
    """What rows may be, and what becomes of them: arrays and CSR matrices, kept as they are."""

    def keep(self, checked: Any, given: Any) -> Any:
        """Return checked rows as the estimator is to get them."""
        return checked

    def read_dataset(self, dataset: Any, name: str) -> Any:
        """Return the rows of a torch Dataset, in the shape of an array.

        Raises
        ------
        TypeError
            Where these cannot be used.
        """
        raise TypeError(
            f"{name} is a torch Dataset, which this estimator does not read: give an array, "
            "numpy.stack([row for row, label in dataset])."
        )

    def read_labels(self, dataset: Any) -> np.ndarray:
        """Return the labels of a Dataset of pairs; as its rows, where they cannot be used."""
        return self.read_dataset(dataset, "X")


def check_domains(
    estimator,
    X,
    y=None,
    X_target=None,
    y_target=None,
    sample_weight=None,
    *,
    rows: ArrayRows | None = None,
    dtype: Any = "numeric",
) -> Domains:
    """Check what `fit` was given, as the estimator's tags ask for it.

    Sets ``n_features_in_`` and ``feature_names_in_`` of `estimator`.

    Parameters
    ----------
    estimator : estimator
        Its tags say whether labels are required, of what kind they are, and whether
        rows may be sparse or have more than one axis.
    X, y, X_target, y_target, sample_weight
        As `fit` got them.
    rows : ArrayRows or None
        What rows may be besides; None for arrays and CSR matrices alone.
    dtype : as for scikit-learn's `check_array`
        Type of the rows.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what is wanted.
    """
    rows = ArrayRows() if rows is None else rows
    X = as_array(X, "X")
    if y is None and is_dataset(X):
        y = rows.read_labels(X)
    given = X
    if X_target is None:
        refuse_rows_as_labels(estimator, X, y)
    X, y = _check_source(estimator, X, None if y is None else as_array(y, "y"), rows, dtype)
    if sample_weight is not None:
        sample_weight = check_sample_weight(as_array(sample_weight, "sample_weight"), X.shape[0])
    target = None
    if X_target is not None:
        warn_where_scikit_learn_came_between(X_target, X.shape[0], n_rows_of(X_target))
        X_target = as_array(X_target, "X_target")
        check_same_columns(given, X_target)
        target = Domain(_check_target(estimator, X_target, X, rows, dtype))
    if y_target is not None:
        warn_where_labels_of_the_source_were_transformed()
        target = with_labels(estimator, target, as_array(y_target, "y_target"))
        if y is not None and is_classifier(estimator):
            target = beside_labels_of(y, target)
    return Domains(Domain(X, y, sample_weight), target)


def check_rows_to_predict(
    estimator, X, *, rows: ArrayRows | None = None, dtype="numeric", name: str = "X"
):
    """Check rows, given as the argument `name`, against those of `fit`.

    Raises
    ------
    NotFittedError, ValueError, TypeError
        Before `fit`, and for rows unlike those of `fit`.
    """
    check_is_fitted(estimator)
    rows = ArrayRows() if rows is None else rows
    X = as_array(X, name)
    if is_dataset(X):
        return rows.read_dataset(X, name)
    with named(name, X):
        checked = validate_data(estimator, X, reset=False, **_accepted(estimator, dtype))
        check_values(checked, name)
    return rows.keep(checked, X)


def check_labelled_rows(
    estimator, X, sample_weight=None, *, rows: ArrayRows | None = None, dtype: Any = "numeric"
) -> Domain:
    """Check rows to fit on, and their weights, where what is known of them is checked elsewhere.

    Sets ``n_features_in_`` and ``feature_names_in_`` of `estimator`.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what is wanted.
    """
    rows = ArrayRows() if rows is None else rows
    X = as_array(X, "X")
    if is_dataset(X):
        checked = rows.read_dataset(X, "X")
        estimator.n_features_in_ = checked.shape[1]
    else:
        with named("X", X):
            checked = validate_data(estimator, X, **_accepted(estimator, dtype))
            check_values(checked, "X")
        checked = rows.keep(checked, X)
    if sample_weight is not None:
        sample_weight = check_sample_weight(
            as_array(sample_weight, "sample_weight"), checked.shape[0]
        )
    return Domain(checked, None, sample_weight)


def _accepted(estimator, dtype: Any) -> dict[str, Any]:
    tags = get_tags(estimator).input_tags
    return {
        "accept_sparse": "csr" if tags.sparse else False,
        "allow_nd": tags.three_d_array,
        "ensure_all_finite": "allow-nan" if tags.allow_nan else True,
        "dtype": dtype,
    }


def refuse_rows_as_labels(estimator, X, y) -> None:
    """Refuse rows of a target that came second, where labels stand."""
    shape: tuple[int, ...] = getattr(y, "shape", ())
    are_rows = len(shape) == 2 and shape[1] > 1 and getattr(X, "shape", ())[1:] == shape[1:]
    if not are_rows or get_tags(estimator).target_tags.multi_output:
        return
    if looks_measured(np.asarray(y)):  # and is no column of 0 and 1 for each class
        labels = "y, " if get_tags(estimator).target_tags.required else ""
        raise ValueError(
            f"y has the shape {shape}, that of rows: y should be a 1d array of labels. Rows of "
            f"the target are given by name, fit(X, {labels}X_target=X_target)."
        )


def _check_source(estimator, X, y, rows: ArrayRows, dtype: Any):
    tags = get_tags(estimator)
    if is_dataset(X):
        checked = rows.read_dataset(X, "X")
        y = None if y is None else column_or_1d(y)
        if y is not None:
            check_same_length(len(checked), "X", y, "y")
        estimator.n_features_in_ = checked.shape[1]
    else:
        of_y: dict[str, Any] = {}
        if y is None:
            y = None if tags.target_tags.required else "no_validation"
        elif tags.estimator_type == "regressor":
            of_y = {"y_numeric": True, "multi_output": tags.target_tags.multi_output}
        n_rows = n_rows_of(X)
        if n_rows and not isinstance(y, str) and n_rows_of(y) is not None:
            check_same_length(n_rows, "X", y, "y")
            check_all_labelled(y)
        with named("X", X):
            checked = validate_data(estimator, X, y, **_accepted(estimator, dtype), **of_y)
            checked, y = checked if isinstance(checked, tuple) else (checked, None)
            check_values(checked, "X")
        checked = rows.keep(checked, X)
    if y is not None and tags.estimator_type == "regressor":
        y = _as_numbers(estimator, y)
    if y is not None and tags.estimator_type == "classifier":
        with named("y"):
            check_classes(estimator, y)
    return checked, y


def _as_numbers(estimator, y: np.ndarray) -> np.ndarray:
    """Return labels of a regressor, of which scikit-learn lets arrays of texts pass."""
    if y.dtype.kind not in "SU":
        return y
    try:
        return y.astype(np.float64)
    except ValueError as error:
        raise ValueError(
            f"y holds texts, such as {y.ravel()[:1].tolist()}, but {type(estimator).__name__} "
            f"learns numbers: {error}. Give these, or take a classifier."
        ) from error


def check_rows_of_another_kind(estimator, X_target, rows: ArrayRows) -> Domain:
    """Check target rows whose features are not the source's; `predict` will get such rows.

    Sets ``n_features_in_`` and ``feature_names_in_`` of `estimator` by them.

    Raises
    ------
    ValueError, TypeError
        Naming ``X_target``.
    """
    X_target = as_array(X_target, "X_target")
    checked = _check_rows(estimator, X_target, rows, "numeric", "n_features")
    for name in ("n_features_in_", "feature_names_in_"):
        estimator.__dict__.pop(name, None)
    if is_dataset(X_target):
        estimator.n_features_in_ = checked.shape[1]
    else:
        validate_data(estimator, X_target, skip_check_array=True)
    return Domain(checked)


def _check_target(estimator, X_target, X, rows: ArrayRows, dtype: Any):
    X_target = _check_rows(estimator, X_target, rows, dtype, ", ".join(map(str, X.shape[1:])))
    if X_target.shape[1:] != X.shape[1:]:
        raise ValueError(
            f"X_target has rows of shape {X_target.shape[1:]}, but X has rows of shape "
            f"{X.shape[1:]}. Source and target must hold the same features in the same order."
            f"{say_where_columns_were_cut()}"
        )
    return X_target


def _check_rows(estimator, X_target, rows: ArrayRows, dtype: Any, wanted: str):
    if is_dataset(X_target):
        X_target = rows.read_dataset(X_target, "X_target")
    else:
        with named("X_target"):
            shape = X_target.shape if hasattr(X_target, "shape") else np.shape(X_target)
        if len(shape) < 2:
            raise ValueError(
                f"X_target has {_dimensions(len(shape))}, shape {shape}; it must hold rows of the "
                f"target domain, shape (n_target, {wanted}). For a "
                "single row: X_target.reshape(1, -1)."
            )
        if shape[0] == 0:
            raise ValueError("X_target has no rows; give at least one, or leave it out.")
        with named("X_target", X_target):
            checked = check_array(
                X_target,
                input_name="X_target",
                estimator=estimator,
                **_accepted(estimator, dtype),
            )
            check_values(checked, "X_target")
        X_target = rows.keep(checked, X_target)
    return X_target


def _dimensions(number: int) -> str:
    return {0: "no dimension", 1: "one dimension"}.get(number, f"{number} dimensions")
