"""Labels of the target, of which some or all may be missing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils import get_tags
from sklearn.utils.validation import check_array, column_or_1d

from .._warning import warn
from ..data._domain import Domain
from ._measured import check_classes
from ._naming import named

# What NaN, None and `pandas.NA` are once they are texts.
WORDS_FOR_NONE = ("nan", "NaN", "None", "<NA>", "")


def with_labels(estimator, target: Domain | None, y_target) -> Domain:
    """Return the target with its labels; missing ones are None, NaN, `pandas.NA` or masked."""
    if target is None:
        raise ValueError("y_target was given without X_target: pass the rows it labels too.")
    with named("y_target"):
        has_label = find_labelled(y_target)
    if len(has_label) != len(target):
        raise ValueError(
            f"y_target has {len(has_label)} labels for the {len(target)} rows of X_target: give "
            "one label for each row (None or NaN where it is not known)."
        )
    if not has_label.any():
        return target
    known = np.array(np.ma.getdata(np.asarray(y_target))[has_label].tolist())
    with named("y_target"):
        if get_tags(estimator).estimator_type == "classifier":
            known = column_or_1d(known)
            check_classes(estimator, known)
        elif get_tags(estimator).estimator_type == "regressor":
            known = check_array(known, ensure_2d=False, dtype=np.float64, input_name="y_target")
            if not get_tags(estimator).target_tags.multi_output:
                known = column_or_1d(known)
    # Of the type of all: that of the first label alone would cut longer texts to its length.
    y = np.full((len(has_label), *known.shape[1:]), known[0], dtype=known.dtype)
    y[has_label] = known
    return Domain(target.X, y, None, None if has_label.all() else has_label)


def beside_labels_of(y: np.ndarray, target: Domain) -> Domain:
    """Return a target, with labels in the type of the source's; warn of those that mean none."""
    if target.y is None:
        return target
    target = replace(target, y=in_type_of(y, target.y))
    warn_where_a_label_may_mean_none(y, target)
    return target


def warn_where_a_label_may_mean_none(y: np.ndarray, target: Domain) -> None:
    """Warn of labels of the target alone that elsewhere stand for "no label".

    scikit-learn means it by -1; and NaN or None among texts is a text once NumPy has made one
    array of them.
    """
    known = target.labelled().labels
    if known.dtype.kind in "if" and y.dtype.kind in "iufb":
        if np.array_equal(np.setdiff1d(known, y), [-1]):
            warn(
                f"y_target holds -1 in {(known == -1).sum()} rows, which is a label like any other "
                "here, and no class of y. Where it marks missing labels, as in "
                "sklearn.semi_supervised, give NaN or None: numpy.where(y_target == -1, numpy.nan, "
                "y_target)."
            )
    elif known.dtype.kind == "U":
        warn_of_words_for_none("y_target", known, set(y.ravel().tolist()))


def warn_of_words_for_none(name: str, labels: np.ndarray, classes: Collection[Any] = ()) -> None:
    """Warn of the texts of NaN and None among labels, where they are no classes already."""
    for word in WORDS_FOR_NONE:
        n_rows = int((labels == word).sum())
        if n_rows and word not in classes:
            warn(
                f"{name} holds the text {word!r} in {n_rows} rows, which is a label like any other "
                "here. Where labels are missing there, as numpy.array of texts and NaN makes texts "
                f"of both, give None: numpy.where({name} == {word!r}, None, {name})."
            )


def in_type_of(y: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return labels of the target as the type of the source's, where that keeps all values.

    Whole numbers beside NaN come as floats, and are the classes that they were.
    """
    if y.dtype.kind not in "iub" or known.dtype.kind != "f":
        return known
    whole = known.astype(y.dtype)
    return whole if np.array_equal(whole, known) else known


def refuse_words_beside_numbers(y: np.ndarray, known: np.ndarray) -> None:
    """Refuse labels of the target of which none can be a class of the source.

    Raises
    ------
    ValueError
        For words in one domain and numbers in the other.
    """
    if (y.dtype.kind in "OSU") != (known.dtype.kind in "OSU"):
        raise ValueError(
            f"y holds labels such as {y[:1].tolist()}, and y_target such as "
            f"{known[:1].tolist()}: give text in both, or numbers in both."
        )


def check_all_labelled(y: Any) -> None:
    """Check that each row has a label.

    Raises
    ------
    ValueError
        Where some are None, NaN, `pandas.NA` or masked.
    """
    n_missing = int(np.sum(~find_labelled(y)))
    if n_missing:
        raise ValueError(
            f"Input y contains NaN or None: {n_missing} of its {len(y)} labels are missing. Leave "
            "these rows out, keep = pandas.notna(y), X[keep], y[keep]; of a target, with "
            "X_target and y_target, rows without a label are of use."
        )


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
    missing = find_missing(y)
    return np.logical_not(missing.reshape(len(missing), -1).any(axis=1))


def find_missing(y) -> np.ndarray:
    """Return which values are None, NaN, `pandas.NA` or masked, in the shape of `y`."""
    array = np.ma.asarray(y) if isinstance(y, np.ma.MaskedArray) else np.asarray(y)
    missing: np.ndarray = np.ma.getmaskarray(array).copy()
    values = np.ma.getdata(array)
    if values.dtype.kind in "fc":
        missing |= np.isnan(values)
    elif values.dtype.kind == "O":
        unequal = [_is_missing(value) for value in values.ravel().tolist()]
        missing |= np.array(unequal, dtype=bool).reshape(values.shape)
    return missing


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    same = value == value  # NaN is unequal to itself, and pandas.NA answers with itself
    return not (isinstance(same, (bool, np.bool_)) and bool(same))
