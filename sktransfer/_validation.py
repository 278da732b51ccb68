"""Checks at the border, without torch; the one place that knows scikit-learn's private names."""

from __future__ import annotations

import contextlib
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_array,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from ._target_domain import TargetDomain, is_dataset
from .data._domain import Domain, Domains

__all__ = [
    "ArrayRows",
    "HasMethods",
    "Integral",
    "Interval",
    "Real",
    "StrOptions",
    "as_array",
    "check_domains",
    "check_rows_to_predict",
    "find_labelled",
    "is_dataset",
]


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
        """Return the labels of a Dataset of pairs."""
        raise NotImplementedError


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
    X, y = _check_source(estimator, X, None if y is None else as_array(y, "y"), rows, dtype)
    if sample_weight is not None:
        sample_weight = _check_sample_weight(as_array(sample_weight, "sample_weight"), X.shape[0])
    target = None
    if X_target is not None:
        _warn_where_folds_may_have_cut(X_target, X)
        X_target = as_array(X_target, "X_target")
        _check_same_columns(given, X_target)
        target = Domain(_check_target(estimator, X_target, X, rows, dtype))
    if y_target is not None:
        target = _with_labels(estimator, target, as_array(y_target, "y_target"))
    return Domains(Domain(X, y, sample_weight), target)


def check_rows_to_predict(estimator, X, *, rows: ArrayRows | None = None, dtype="numeric"):
    """Check rows to predict for against those of `fit`.

    Raises
    ------
    NotFittedError, ValueError, TypeError
        Before `fit`, and for rows unlike those of `fit`.
    """
    check_is_fitted(estimator)
    rows = ArrayRows() if rows is None else rows
    X = as_array(X, "X")
    if is_dataset(X):
        return rows.read_dataset(X, "X")
    with _named("X"):
        checked = validate_data(estimator, X, reset=False, **_accepted(estimator, dtype))
    return rows.keep(checked, X)


def as_array(X, name: str):
    """Unwrap a `TargetDomain` and turn a torch tensor into an array; leave other rows as they are.

    Raises
    ------
    TypeError, ValueError
        For what holds no rows of numbers or labels.
    """
    if isinstance(X, TargetDomain):
        X = X.data
    if isinstance(X, (str, bytes)) or hasattr(X, "__fspath__"):
        raise TypeError(
            f"{name} is {X!r:.80}, a text; give its rows as an array or frame, for example "
            "pandas.read_csv(path)."
        )
    if isinstance(X, Mapping) and not hasattr(X, "toarray"):  # SciPy's dok is a dict, too
        raise TypeError(
            f"{name} is a {type(X).__name__} of {list(X)[:5]}; give one array with a row for each "
            f"sample. Arrays of one shape, such as token ids and mask, can be stacked, "
            "numpy.stack([ids, mask], axis=1), and taken apart by the module."
        )
    if not hasattr(X, "__len__") and (isinstance(X, Iterator) or _is_iterable(X)):
        raise TypeError(
            f"{name} is a {type(X).__name__}, which gives its rows one after the other; give them "
            f"at once: numpy.stack(list({name}))."
        )
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(X, torch.utils.data.DataLoader):
        raise TypeError(f"{name} is a DataLoader; give its Dataset, loader.dataset, or an array.")
    if torch is not None and isinstance(X, torch.Tensor):
        X = X.detach().cpu()
        X = (X.float() if X.dtype == torch.bfloat16 else X).numpy()
    if isinstance(X, np.ma.MaskedArray) and X.mask.any() and name.startswith("X"):
        raise ValueError(
            f"{name} is a masked array with {X.mask.sum()} values masked; fill them, "
            f"{name}.filled(value), or drop their rows."
        )
    if isinstance(X, np.ndarray) and X.dtype.kind in "mM":
        raise ValueError(f"{name} holds dates or times; give numbers, for example a difference.")
    if isinstance(X, np.ndarray) and X.dtype.kind == "c":
        raise ValueError(
            f"{name} holds complex numbers. Complex data not supported: give real ones, for "
            f"example numpy.abs({name}), or real and imaginary part as columns."
        )
    return X


def _is_iterable(X) -> bool:
    return hasattr(X, "__iter__") and not hasattr(X, "shape") and not hasattr(X, "__array__")


@contextlib.contextmanager
def _named(name: str, given: Any = None) -> Iterator[None]:
    """Have what scikit-learn says of rows name the argument, and columns that are no numbers."""
    try:
        yield
    except (ValueError, TypeError) as error:
        message = str(error)
        words = _columns_without_numbers(given)
        if words:
            raise ValueError(
                f"{name} has columns that are no numbers: {words[:10]}. Encode them, for example "
                'with make_transfer_pipeline(ColumnTransformer([("codes", OneHotEncoder(), '
                f'{words[:10]})], remainder="passthrough"), ...), or drop them.'
            ) from error
        if re.search(rf"\b({name}|y|sample_weight)\b", message):
            raise
        raise type(error)(f"{name}: {message}") from error


def _columns_without_numbers(X: Any) -> list[Any]:
    def is_number(column: Any) -> bool:
        try:
            np.asarray(X[column]).astype(float)
        except (ValueError, TypeError):
            return False
        return True

    columns = getattr(X, "columns", None)
    return [] if columns is None else [name for name in columns if not is_number(name)]


def _accepted(estimator, dtype: Any) -> dict[str, Any]:
    tags = get_tags(estimator).input_tags
    return {
        "accept_sparse": "csr" if tags.sparse else False,
        "allow_nd": tags.three_d_array,
        "dtype": dtype,
    }


def _check_source(estimator, X, y, rows: ArrayRows, dtype: Any):
    tags = get_tags(estimator)
    if is_dataset(X):
        checked = rows.read_dataset(X, "X")
        y = None if y is None else column_or_1d(y)
        if y is not None and len(y) != len(checked):
            raise ValueError(f"y has {len(y)} labels for the {len(checked)} rows of the Dataset.")
        estimator.n_features_in_ = checked.shape[1]
    else:
        of_y: dict[str, Any] = {}
        if y is None:
            y = None if tags.target_tags.required else "no_validation"
        elif tags.estimator_type == "regressor":
            of_y = {"y_numeric": True, "multi_output": tags.target_tags.multi_output}
        with _named("X", X):
            checked = validate_data(estimator, X, y, **_accepted(estimator, dtype), **of_y)
        checked, y = checked if isinstance(checked, tuple) else (checked, None)
        checked = rows.keep(checked, X)
    if y is not None and tags.estimator_type == "classifier":
        with _named("y"):
            check_classification_targets(y)
    return checked, y


def _check_target(estimator, X_target, X, rows: ArrayRows, dtype: Any):
    if is_dataset(X_target):
        X_target = rows.read_dataset(X_target, "X_target")
    else:
        with _named("X_target"):
            shape = X_target.shape if hasattr(X_target, "shape") else np.shape(X_target)
        if len(shape) < 2:
            raise ValueError(
                f"X_target has {_dimensions(len(shape))}, shape {shape}; it must hold rows of the "
                f"target domain, shape (n_target, {', '.join(map(str, X.shape[1:]))}). For a "
                "single row: X_target.reshape(1, -1)."
            )
        if shape[0] == 0:
            raise ValueError("X_target has no rows; give at least one, or leave it out.")
        with _named("X_target", X_target):
            checked = check_array(
                X_target,
                input_name="X_target",
                estimator=estimator,
                **_accepted(estimator, dtype),
            )
        X_target = rows.keep(checked, X_target)
    if X_target.shape[1:] != X.shape[1:]:
        raise ValueError(
            f"X_target has rows of shape {X_target.shape[1:]}, but X has rows of shape "
            f"{X.shape[1:]}. Source and target must hold the same features in the same order."
        )
    return X_target


def _n_rows(X) -> int | None:
    return (
        X.shape[0]
        if len(getattr(X, "shape", ())) > 0
        else len(X)
        if hasattr(X, "__len__")
        else None
    )


def _dimensions(number: int) -> str:
    return {0: "no dimension", 1: "one dimension"}.get(number, f"{number} dimensions")


def _check_same_columns(X, X_target) -> None:
    names = [getattr(frame, "columns", None) for frame in (X, X_target)]
    if any(columns is None for columns in names) or list(names[0]) == list(names[1]):
        return
    raise ValueError(
        f"X_target has the columns {list(names[1])[:20]}, but X has {list(names[0])[:20]}. Source "
        "and target must hold the same features in the same order: X_target[X.columns] sorts them."
    )


def _with_labels(estimator, target: Domain | None, y_target) -> Domain:
    """Return the target with its labels; missing ones are None, NaN, `pandas.NA` or masked."""
    if target is None:
        raise ValueError("y_target was given without X_target: pass the rows it labels too.")
    has_label = find_labelled(y_target)
    if len(has_label) != len(target):
        raise ValueError(
            f"y_target has {len(has_label)} labels for the {len(target)} rows of X_target: give "
            "one label for each row (None or NaN where it is not known)."
        )
    if not has_label.any():
        return target
    known = np.array(np.ma.getdata(np.asarray(y_target))[has_label].tolist())
    with _named("y_target"):
        if get_tags(estimator).estimator_type == "classifier":
            check_classification_targets(known)
    # Of the type of all: that of the first label alone would cut longer texts to its length.
    y = np.full((len(has_label), *known.shape[1:]), known[0], dtype=known.dtype)
    y[has_label] = known
    return Domain(target.X, y, None, None if has_label.all() else has_label)


def find_labelled(y) -> np.ndarray:
    """Return which entries are labels, and not None, NaN, `pandas.NA` or masked.

    Parameters
    ----------
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        A row of several outputs has a label where all of them are there.

    Returns
    -------
    ndarray of bool of shape (n_rows,)
    """
    array = np.ma.asarray(y) if isinstance(y, np.ma.MaskedArray) else np.asarray(y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array.ravel()
    missing = np.ma.getmaskarray(array).copy() if np.ma.isMaskedArray(array) else None
    if missing is None:
        missing = np.zeros(array.shape, dtype=bool)
    values = np.ma.getdata(array)
    if values.dtype.kind in "fc":
        missing |= np.isnan(values)
    elif values.dtype.kind == "O":
        unequal = [_is_missing(value) for value in values.ravel().tolist()]
        missing |= np.array(unequal, dtype=bool).reshape(values.shape)
    return ~missing.reshape(len(missing), -1).any(axis=1)


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    same = value == value  # NaN is unequal to itself, and pandas.NA answers with itself
    return not (isinstance(same, (bool, np.bool_)) and bool(same))


def _check_sample_weight(sample_weight, n_rows: int) -> np.ndarray:
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n_rows, sample_weight)
    with _named("sample_weight"):
        weights = check_array(
            sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
        )
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight has shape {weights.shape}, but X has {n_rows} rows: "
            f"give one weight for each row, shape ({n_rows},)."
        )
    if weights.min() < 0 or weights.max() == 0:
        raise ValueError(
            "sample_weight must be non-negative with at least one weight above zero; got weights "
            f"from {weights.min():g} to {weights.max():g}."
        )
    return weights


def _warn_where_folds_may_have_cut(X_target, X) -> None:
    """Warn where a search fits a fold, and a bare target is exactly as long as that.

    Scikit-learn cuts whatever is as long as the whole of `X`. What arrives here says no
    more of it, so the length and the caller are all there is to notice it by.
    """
    if isinstance(X_target, TargetDomain) or X.shape[0] != _n_rows(X_target):
        return
    frame = sys._getframe()
    while frame is not None and frame.f_code.co_name != "_fit_and_score":
        frame = frame.f_back
    if frame is None:
        return
    warnings.warn(
        f"X_target has {X.shape[0]} rows inside a search, as many as the source fold: it was cut "
        "by the source's folds if it is as long as X. Wrap it, X_target=TargetDomain(X_target), "
        "and it stays whole.",
        UserWarning,
        stacklevel=5,
    )
