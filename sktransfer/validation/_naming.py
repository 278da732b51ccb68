"""What an error says of rows: the argument that holds them, its columns and its rows."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse

# The most columns that a message lists.
MOST_LISTED = 10

# Of what is above this the fourth power, summed over rows, is beyond double precision.
LARGEST = 1e60

ONE_LABEL = (
    "Give one label for each row: y.argmax(axis=1) where the columns are classes, 0 or 1. Where "
    "they are several tasks, sktransfer.multitask learns them."
)


@contextlib.contextmanager
def named(name: str, given: Any = None) -> Iterator[None]:
    """Have what scikit-learn says of rows name the argument, and the columns where it matters.

    Parameters
    ----------
    name : str
        Of the argument.
    given : object
        What it holds, to look for the columns in; None does not look.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        message = str(error)
        words = _of_columns_without_numbers(name, given)
        if words is not None:
            raise ValueError(words) from error
        if re.match(rf"Input {name} contains (NaN|infinity)", message):
            raise ValueError(_of_values_not_finite(name, message, given)) from error
        if re.match(r"y should be a 1d array, got an array of shape \(\d+, ", message):
            message = f"{message} {ONE_LABEL}"
            name = "y" if name == "X" else name  # with which it is checked
            raise ValueError(message if name == "y" else f"{name}: {message}") from error
        if message.startswith("Sparse data was passed"):
            raise TypeError(
                f"Sparse data was passed for {name}, but dense data is required. Put what makes "
                "few columns of many before it, make_transfer_pipeline(..., TruncatedSVD(100), "
                f"step, ...), or give {name}.toarray(), where all of it has room."
            ) from error
        others = "|y|sample_weight" if name == "X" else ""  # which are checked with X
        if re.search(rf"\b({name}{others})\b", message):
            raise
        if "inhomogeneous" in message:
            message = f"its rows differ in length ({message}). Give rows of one length."
        raise type(error)(f"{name}: {message}") from error


def check_values(rows: Any, name: str) -> None:
    """Refuse rows to which scikit-learn has no objection, but that cannot be computed with.

    Raises
    ------
    TypeError
        For what is left as objects, a frame's categories that are texts; `named` says in which
        columns.
    ValueError
        For values whose powers are beyond double precision.
    """
    kind = getattr(rows, "dtype", np.dtype(float))
    if kind.kind == "O":
        raise TypeError("its values are objects. Give numbers.")
    if kind.kind != "f" or float(np.finfo(kind).max) < LARGEST:
        return
    values = rows.data if sparse.issparse(rows) else rows
    largest = float(max(values.max(), -values.min())) if values.size else 0.0
    if largest > LARGEST:
        raise ValueError(
            f"{name} holds values up to {largest:g}, whose powers overflow; scale the features, "
            "for example with sklearn.preprocessing.MaxAbsScaler."
        )


def _of_columns_without_numbers(name: str, X: Any) -> str | None:
    columns = list(getattr(X, "columns", ()))
    dates = [column for column in columns if np.asarray(X[column]).dtype.kind in "mM"]
    if dates:
        return (
            f"{name} has columns of dates or times: {dates[:MOST_LISTED]}. Give numbers, for "
            "example the hour, the weekday or the time since the first row, or drop them."
        )
    words = [column for column in columns if not _is_of_numbers(X[column])]
    if not words:
        return None
    listed = words[:MOST_LISTED]
    return (
        f"{name} has columns that are no numbers: {listed}. Encode them, for example with "
        'make_transfer_pipeline(ColumnTransformer([("codes", OneHotEncoder(handle_unknown="ignore"'
        f'), {listed})], remainder="passthrough"), ...), or drop them.'
    )


def _is_of_numbers(column: Any) -> bool:
    try:
        np.asarray(column).astype(float)
    except (ValueError, TypeError):
        return False
    return True


def _of_values_not_finite(name: str, message: str, X: Any) -> str:
    """Say where values are missing or infinite, and what to do; `message` is scikit-learn's."""
    first = message.splitlines()[0].rstrip(".")
    test = np.isnan if "NaN" in first else np.isinf
    found = f"{first}{_place(X, test)}"
    if name == "sample_weight":
        return f"{found}. Give each row a weight, 0 where it is not to count."
    if test is np.isinf:
        return f"{found}. Replace these values, numpy.clip or numpy.nan_to_num, or drop the rows."
    return (
        f"{found}. Fill them in a pipeline, make_transfer_pipeline(SimpleImputer(), ...), or drop "
        "the rows."
    )


def _place(X: Any, test: Any) -> str:
    if X is None or sparse.issparse(X):
        return ""
    columns = list(getattr(X, "columns", ()))
    values = np.column_stack([np.asarray(X[c], float) for c in columns]) if columns else X
    hit = test(np.asarray(values, dtype=float))
    n_rows = hit.reshape(len(hit), -1).any(axis=1).sum()
    place = f", in {n_rows} of the {len(hit)} rows"
    if hit.ndim != 2:
        return place
    numbers = np.flatnonzero(hit.any(axis=0)).tolist()
    listed = [columns[number] for number in numbers] if columns else numbers
    more = f" and {len(listed) - MOST_LISTED} more" if len(listed) > MOST_LISTED else ""
    return f"{place}, columns {listed[:MOST_LISTED]}{more}"
