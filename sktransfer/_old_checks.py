"""Checks at the border; the one place that knows scikit-learn's private names."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _get_feature_names,
    check_array,
    check_is_fitted,
    column_or_1d,
    validate_data,
)
from skorch.callbacks import Callback
from torch.utils.data import Dataset, IterableDataset

from ._lazy import DatasetArray, LazyArray, MappedArray, is_mapped, read_labels
from ._target_domain import TargetDomain

__all__ = [
    "HasMethods",
    "Integral",
    "Interval",
    "Real",
    "StrOptions",
    "TrainingData",
    "check_callbacks",
    "check_device",
    "check_features",
    "check_fit_data",
    "check_rows",
    "check_schedule",
]

_CHECKS: dict[str, Any] = {"accept_sparse": "csr", "allow_nd": True}

# What torch has no arithmetic for, and what holds the same values.
_TORCH_DTYPES = {
    np.dtype(np.float16): np.float32,
    np.dtype(np.longdouble): np.float64,
    np.dtype(np.uint16): np.int32,
    np.dtype(np.uint32): np.int64,
    np.dtype(np.uint64): np.float64,
}


@dataclass(slots=True)
class TrainingData:
    """What `fit` was given, checked: arrays or CSR, labels as given, weights as floats."""

    X: Any
    y: np.ndarray
    X_target: Any
    y_target: np.ndarray | None
    sample_weight: np.ndarray | None


def check_fit_data(estimator, X, y, X_target, y_target, sample_weight) -> TrainingData:
    """Check both domains and set `n_features_in_` and `feature_names_in_`.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what is wanted.
    """
    X = as_array(X, "X")
    if isinstance(X, Dataset) and y is None:
        y = read_labels(X, estimator.num_workers)
    if y is not None:
        y = as_array(y, "y")
    X, y = _check_source(estimator, X, y)
    check_classification_targets(y)
    if X_target is not None:
        X_target = _check_target(estimator, X, as_array(X_target, "X_target"))
    if y_target is not None:
        y_target = _check_target_labels(X_target, as_array(y_target, "y_target"))
    if sample_weight is not None:
        sample_weight = _check_sample_weight(sample_weight, len(y))
    return TrainingData(X, y, X_target, y_target, sample_weight)


def check_features(estimator, X):
    """Check rows to predict for against those of `fit`."""
    check_is_fitted(estimator)
    X = as_array(X, "X")
    if isinstance(X, Dataset):
        X = DatasetArray(X)
    else:
        X = for_torch(validate_data(estimator, X, reset=False, **_CHECKS), X)
    if X.shape[1:] != estimator.input_shape_:
        raise ValueError(
            f"X has rows of shape {X.shape[1:]}, but {type(estimator).__name__} was fitted on "
            f"rows of shape {estimator.input_shape_}. Bring X to that shape."
        )
    return X


def check_rows(X, name: str, input_shape: tuple[int, ...]):
    """Check rows that did not come through `fit` or `predict`.

    Raises
    ------
    ValueError, TypeError
        For rows of another shape than those trained on.
    """
    X = as_array(X, name)
    if isinstance(X, Dataset):
        X = DatasetArray(X)
    elif not isinstance(X, LazyArray):
        X = for_torch(check_array(X, input_name=name, **_CHECKS), X)
    if X.shape[1:] != tuple(input_shape):
        raise ValueError(
            f"{name} has rows of shape {X.shape[1:]}, but training is on rows of shape "
            f"{tuple(input_shape)}. In a pipeline, give transformed rows."
        )
    return X


def as_array(X, name: str):
    """Unwrap a `TargetDomain` and turn a torch tensor into an array; leave the rest."""
    if isinstance(X, TargetDomain):
        X = X.data
    if isinstance(X, Mapping) and not hasattr(X, "toarray"):  # SciPy's dok is a dict, too
        raise TypeError(
            f"{name} is a {type(X).__name__} of {list(X)[:5]}; give one array with a row for each "
            f"sample. Arrays of one shape, such as token ids and mask, can be stacked, "
            "numpy.stack([ids, mask], axis=1), and taken apart by the module."
        )
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu()
        X = (X.float() if X.dtype == torch.bfloat16 else X).numpy()
    if isinstance(X, np.ndarray) and X.dtype.kind in "mM":
        raise ValueError(f"{name} holds dates or times; give numbers, for example a difference.")
    return X


def for_torch(X, given):
    """Copy what torch cannot share: exotic types, foreign byte order, negative strides.

    Rows of a mapped file that torch can share stay where they are.
    """
    dtype = X.dtype.newbyteorder("=")
    if is_mapped(given) and X.dtype == _TORCH_DTYPES.get(dtype, dtype) and min(X.strides) > 0:
        return MappedArray(X)
    X = X.astype(_TORCH_DTYPES.get(dtype, dtype), copy=False)
    if isinstance(X, np.ndarray) and any(stride < 0 for stride in X.strides):
        return np.ascontiguousarray(X)
    return X


def _check_source(estimator, X, y):
    if not isinstance(X, Dataset):
        checked, y = validate_data(estimator, X, y, **_CHECKS)
        return for_torch(checked, X), y
    if isinstance(X, IterableDataset):
        raise TypeError(
            "X is an IterableDataset, of which no row can be asked for: give a map-style Dataset, "
            "with __len__ and __getitem__."
        )
    X, y = DatasetArray(X), column_or_1d(y)
    if len(y) != len(X):
        raise ValueError(f"y has {len(y)} labels for the {len(X)} rows of the Dataset.")
    estimator.n_features_in_ = X.shape[1]
    if hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
    return X, y


def _check_target(estimator, X, X_target):
    names = None if isinstance(X_target, Dataset) else _get_feature_names(X_target)
    expected = getattr(estimator, "feature_names_in_", None)
    if names is not None and expected is not None and list(names) != list(expected):
        raise ValueError(
            f"X_target has the columns {list(names)}, but X has {list(expected)}. Source and "
            "target must hold the same features in the same order: X_target[X.columns] sorts them."
        )
    if not isinstance(X_target, Dataset) and np.ndim(X_target) == 1:
        raise ValueError(
            f"X_target has one dimension, shape {np.shape(X_target)}; it must hold rows of the "
            f"target domain, shape (n_target, {', '.join(map(str, X.shape[1:]))}). For a single "
            "row: X_target.reshape(1, -1)."
        )
    if isinstance(X_target, Dataset):
        X_target = DatasetArray(X_target)
    else:
        checked = check_array(X_target, input_name="X_target", estimator=estimator, **_CHECKS)
        X_target = for_torch(checked, X_target)
    if X_target.shape[1:] != X.shape[1:]:
        raise ValueError(
            f"X_target has rows of shape {X_target.shape[1:]}, but X has rows of shape "
            f"{X.shape[1:]}. Source and target must hold the same features in the same order."
        )
    return X_target


def _check_target_labels(X_target, y_target):
    if X_target is None:
        raise ValueError("y_target was given without X_target: pass the rows it labels too.")
    y_target = column_or_1d(y_target)
    missing = np.array([label is None or label != label for label in y_target.tolist()])
    if missing.any():
        raise ValueError(
            f"{missing.sum()} of the {len(missing)} labels in y_target are missing. Give the "
            "labelled rows alone: keep = pandas.notna(y_target), then X_target[keep] and "
            "y_target[keep]. Without any labels leave y_target out."
        )
    if len(y_target) != X_target.shape[0]:
        raise ValueError(
            f"y_target has {len(y_target)} labels for the {X_target.shape[0]} rows of X_target: "
            "give one label for each row."
        )
    check_classification_targets(y_target)
    return y_target


def _check_sample_weight(sample_weight, n_rows: int) -> np.ndarray:
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n_rows, sample_weight)
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


def check_schedule(schedule: Callable[[float], float], name: str) -> Callable[[float], float]:
    """Check that a schedule gives finite numbers from the first step to the last.

    Raises
    ------
    ValueError
        Where it does not.
    """
    for progress in (0.0, 1.0):
        factor = schedule(progress)
        if not isinstance(factor, Real) or not np.isfinite(float(factor)):
            raise ValueError(
                f"{name}({progress}) returned {factor!r}; it must return a finite number, the "
                "factor for a training progress in [0, 1]."
            )
    return schedule


def check_callbacks(callbacks) -> list:
    """Copy the user's skorch callbacks: they keep state, and the user's must not change.

    Raises
    ------
    TypeError
        For what is no callback.
    """
    copies: list = []
    for given in [] if callbacks is None else callbacks:
        name, callback = given if isinstance(given, tuple) and len(given) == 2 else (None, given)
        is_class = isinstance(callback, type)
        if not (issubclass(callback, Callback) if is_class else isinstance(callback, Callback)):
            raise TypeError(
                f"callbacks holds {given!r}; give skorch callbacks or pairs (name, callback)."
            )
        copies.append(copy.copy(callback) if name is None else (name, copy.copy(callback)))
    return copies


def check_device(device: str | torch.device) -> torch.device:
    """Turn ``"auto"`` or a name into a device that can be used here.

    Raises
    ------
    ValueError
        Where torch does not know the device or cannot use it.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, TypeError) as error:
        usable = ["auto", "cpu"] + ["cuda"] * torch.cuda.is_available()
        raise ValueError(
            f"device={device!r} cannot be used here ({str(error).splitlines()[0]}). "
            f"Give one of {usable} or another device that torch can use."
        ) from error
