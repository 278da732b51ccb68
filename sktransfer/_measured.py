"""Labels of a classifier that look like measurements, for which there are regressors."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets

from ._exports import EXPORTS
from ._warning import warn

# With more values than this, and fewer rows of each than that, numbers are hardly classes.
MOST_CLASSES = 100
LEAST_ROWS = 10


def check_classes(estimator: Any, y: np.ndarray) -> None:
    """Check that labels can be classes, and warn of numbers that look measured.

    Raises
    ------
    ValueError
        For numbers with fractions, naming the regressor to use.
    """
    try:
        check_classification_targets(y)
    except ValueError as error:
        if np.asarray(y).dtype.kind != "f":
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


def looks_measured(y: np.ndarray) -> bool:
    """Whether labels are numbers with fractions, or of very many values."""
    if y.dtype.kind not in "iuf":
        return False
    return len(np.unique(y)) > MOST_CLASSES or bool((y != np.round(y)).any())


def name_regressor(estimator: Any) -> str:
    """Return the name of the regressor in the place of a classifier."""
    twin = type(estimator).__name__.replace("Classifier", "Regressor")
    return twin if twin in EXPORTS else "a regressor, such as DANNRegressor or DeepCORALRegressor"
