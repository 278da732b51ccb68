"""Arrays of rows, labels and weights at the border, without torch: what each error says of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array

from ..data._target_domain import TargetDomain, is_dataset, say_where_columns_were_cut
from ._naming import named
from ._target_labels import find_missing


def as_array(X, name: str):
    """Unwrap a `TargetDomain`; turn tensors, and what tells no shape, into arrays.

    Other rows are left as they are.

    Raises
    ------
    TypeError, ValueError
        For what holds no rows of numbers or labels.
    """
    is_labels = name.startswith("y") or name in ("task", "domains")
    if isinstance(X, TargetDomain):
        X = X.data
    if isinstance(X, (str, bytes)) or hasattr(X, "__fspath__"):
        wanted = (
            f"an array with one for each row, such as frame[{X!r:.40}]"
            if is_labels
            else "its rows as an array or frame, for example pandas.read_csv(path)"
        )
        raise TypeError(f"{name} is {X!r:.80}, a text; give {wanted}.")
    if isinstance(X, Mapping) and not hasattr(X, "toarray"):  # SciPy's dok is a dict, too
        raise TypeError(
            f"{name} is a {type(X).__name__} of {list(X)[:5]}; give one array with a row for each "
            f"sample. Arrays of one shape, such as token ids and mask, can be stacked, "
            "numpy.stack([ids, mask], axis=1), and taken apart by the module."
        )
    if not hasattr(X, "__len__") and not is_dataset(X) and _is_iterable(X):
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
    if hasattr(X, "__array__") and not hasattr(X, "shape"):  # it may refuse NumPy's functions
        X = np.asarray(X)
    if is_labels and isinstance(X, (list, tuple)):
        X = _with_missing_ones_kept(X)
    _refuse_what_is_no_array(X, name, is_labels)
    _refuse_other_values(X, name, is_labels)
    return X


def _with_missing_ones_kept(labels: Any) -> Any:
    """Return a list of texts and NaN as objects: NumPy would make the text "nan" of NaN."""
    try:
        if np.asarray(labels).dtype.kind not in "SU":
            return labels
    except ValueError:  # of uneven lengths, which is told elsewhere
        return labels
    objects = np.array(labels, dtype=object)
    return objects if find_missing(objects).any() else labels


def _refuse_what_is_no_array(X, name: str, is_labels: bool) -> None:
    if X is None:
        raise ValueError(
            f"{name} is None; give one {'label' if is_labels else 'row'} for each sample, an array."
        )
    if _is_scalar(X) and name != "sample_weight":  # which may be one for all
        raise ValueError(
            f"{name} is {X!r:.80}, a single value. Expected 2D array, got scalar array instead: "
            f"give an array with a {'label' if is_labels else 'row'} for each sample."
        )
    if not is_labels and _is_of_texts(X):
        raise ValueError(
            f"{name} holds texts, such as {str(_first(X))!r:.60}, not rows of numbers. Count their "
            "words in a pipeline, make_transfer_pipeline(TfidfVectorizer(), ...), or give codes of "
            "tokens, numpy.stack([ids, mask], axis=1) of a tokenizer's arrays, to a language "
            "model: sktransfer.backbones.from_transformers(model)."
        )


def _refuse_other_values(X, name: str, is_labels: bool) -> None:
    """Refuse arrays of what is neither a number nor, where labels are wanted, a label."""
    if isinstance(X, np.ndarray) and X.dtype.kind in "SU" and not is_labels:
        raise ValueError(
            f"{name} holds strings, such as {X.ravel()[:1].tolist()}; give numbers: encode "
            f"categories (sklearn.preprocessing.OneHotEncoder), or {name}.astype(float)."
        )
    if isinstance(X, np.ma.MaskedArray) and X.mask.any() and not is_labels:
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


def _is_of_texts(X) -> bool:
    """Whether these are texts one after the other, and not rows."""
    flat = isinstance(X, (list, tuple)) or len(getattr(X, "shape", ())) == 1
    return flat and not is_dataset(X) and isinstance(_first(X), str)


def _first(X) -> Any:
    return next(iter(X), None) if hasattr(X, "__iter__") else None


def _is_scalar(X) -> bool:
    shape = getattr(X, "shape", None)
    return isinstance(X, (Real, np.generic)) or (isinstance(shape, tuple) and len(shape) == 0)


def _is_iterable(X) -> bool:
    return hasattr(X, "__iter__") and not hasattr(X, "shape") and not hasattr(X, "__array__")


def check_same_length(n_rows: int, name: str, y: Any, name_of_y: str) -> None:
    """Check that there is a label (or another value) for each row.

    Raises
    ------
    ValueError
        Naming both.
    """
    n_labels = y.shape[0] if getattr(y, "shape", ()) else len(y)
    if n_labels != n_rows:
        raise ValueError(
            f"{name_of_y} has {n_labels} labels for the {n_rows} rows of {name}: inconsistent "
            "numbers of samples. Give one label for each row."
        )


def n_rows_of(X) -> int | None:
    """Return how many rows these are, None where they do not say."""
    return (
        X.shape[0]
        if len(getattr(X, "shape", ())) > 0
        else len(X)
        if hasattr(X, "__len__")
        else None
    )


def check_same_columns(X, X_target, name: str = "X") -> None:
    """Check that frames, of which the first is the argument `name`, have the same columns.

    Raises
    ------
    ValueError
        Where they differ.
    """
    if not (hasattr(X, "columns") and hasattr(X_target, "columns")):
        return
    names = list(X.columns), list(X_target.columns)
    if names[0] == names[1]:
        return
    lacking = [column for column in names[0] if column not in names[1]]
    way = (
        f" X_target lacks {lacking[:20]}."
        if lacking
        else say_where_columns_were_cut() or f" X_target[{name}.columns] picks and sorts them."
    )
    raise ValueError(
        f"X_target has the columns {names[1][:20]}, but {name} has {names[0][:20]}. "
        f"Source and target must hold the same features in the same order.{way}"
    )


def check_sample_weight(sample_weight, n_rows: int) -> np.ndarray:
    """Return weights of rows, of which one number is that of each.

    Raises
    ------
    ValueError
        For a wrong number of them, and for weights that leave nothing.
    """
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n_rows, sample_weight)
    with named("sample_weight"):
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
