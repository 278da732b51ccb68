"""Labels of a classifier that look like measurements, for which there are regressors."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets

from .._exports import EXPORTS
from .._warning import warn

# With more values than this, and fewer rows of each than that, numbers are hardly classes.
MOST_CLASSES = 100
LEAST_ROWS = 10


def check_classes(estimator: Any, y: np.ndarray) -> None:
    """Check that labels can be classes, and warn of numbers that look measured.

    Raises
    ------
    ValueError
        For numbers with fractions, naming the regressor to use.
    ValueError, TypeError
        For objects that are no labels of one type.
    """
    try:
        check_classification_targets(y)
    except (ValueError, TypeError) as error:
        kind = np.asarray(y).dtype.kind
        if kind == "O":
            raise type(error)(f"{error} {_one_type(y)}") from error
        if kind != "f":
            raise
        raise ValueError(
            f"{error} For numbers that are measured use {name_regressor(estimator)}."
        ) from error
    if np.asarray(y).dtype.kind not in "iuf":
        return
    n_values = len(np.unique(y))
    if n_values > MOST_CLASSES and len(y) < LEAST_ROWS * n_values:
        warn(
            f"The labels are numbers of {n_values} different values, with "
            f"{len(y) / n_values:.1f} rows each on average, and {type(estimator).__name__} takes "
            f"each value for a class. If they were measured or counted use "
            f"{name_regressor(estimator)}; if they name classes, give texts: y.astype(str)."
        )


def _one_type(y: np.ndarray) -> str:
    types = {type(label) for label in y.ravel().tolist()}
    names = ", ".join(sorted(of_label.__name__ for of_label in types))
    way = "bool" if types == {bool} else "str"
    return f"They are objects (of type {names}); make them labels of one type, by .astype({way})."


def looks_measured(y: np.ndarray) -> bool:
    """Whether labels are numbers with fractions, or of very many values."""
    if y.dtype.kind not in "iuf":
        return False
    return len(np.unique(y)) > MOST_CLASSES or bool((y != np.round(y)).any())


def name_regressor(estimator: Any) -> str:
    """Return the name of the regressor in the place of a classifier, or what it says itself."""
    if hasattr(estimator, "_for_numbers"):
        return str(estimator._for_numbers)
    name = type(estimator).__name__
    twin = name.replace("Classifier", "Regressor")
    if twin != name and twin in EXPORTS:
        return twin
    return "a regressor, such as DANNRegressor or DeepCORALRegressor"
