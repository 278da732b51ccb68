"""What is known of classes besides rows: a vector for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class Described(NamedTuple):
    """Sorted classes, their vectors, and which of them have rows."""

    classes: np.ndarray
    vectors: np.ndarray
    is_seen: np.ndarray


def describe(descriptions: Any, seen: np.ndarray) -> Described:
    """Return all classes with their vectors; without descriptions the seen ones, one-hot.

    Raises
    ------
    TypeError, ValueError
        For descriptions that are none, of which vectors differ in length or hold what is no finite
        number, or that lack a seen class.
    """
    if descriptions is None:
        return Described(seen, np.eye(len(seen)), np.ones(len(seen), dtype=bool))
    labels, vectors = _read(descriptions)
    is_text = {isinstance(label, str) for label in labels}
    if len(is_text) != 1 or len(set(labels)) != len(labels):
        raise ValueError(
            f"descriptions must name each class once, all by text or all by number; got {labels}."
        )
    lacking = [label for label in seen.tolist() if label not in set(labels)]
    if lacking:
        raise ValueError(
            f"descriptions lack the classes {lacking[:10]} of y; they describe {labels[:10]}. "
            "Give every class of y a vector, under the label that y has (1 is not '1')."
        )
    classes, order = np.unique(np.array(labels), return_index=True)
    if seen.dtype.kind in "iufb" and classes.dtype.kind in "iufb":
        classes = classes.astype(np.result_type(classes, seen))
    return Described(classes, vectors[order], np.isin(classes, seen))


def _read(descriptions: Any) -> tuple[list[Any], np.ndarray]:
    if isinstance(descriptions, Mapping):
        labels, values = list(descriptions), list(descriptions.values())
        lengths = {np.shape(value) for value in values}
        if len(lengths) > 1 or any(len(shape) != 1 for shape in lengths):
            raise ValueError(
                "descriptions must be vectors of one length; got the shapes "
                f"{sorted(lengths)}. A single number is a vector of one: [number]."
            )
    elif hasattr(descriptions, "index") and hasattr(descriptions, "to_numpy"):
        labels, values = descriptions.index.tolist(), descriptions.to_numpy()
    else:
        raise TypeError(
            f"descriptions is {type(descriptions).__name__}; it must be a mapping of labels to "
            "vectors, dict(zip(labels, vectors)), a pandas frame with the labels as its index, "
            "or None."
        )
    if len(labels) == 0:
        raise ValueError("descriptions are empty; give each class a vector, or None for one-hot.")
    try:
        vectors = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"descriptions must hold numbers alone: {error}.") from error
    if vectors.ndim != 2 or vectors.shape[1] == 0 or not np.isfinite(vectors).all():
        raise ValueError(
            f"descriptions have shape {vectors.shape}; they must hold a finite number for each "
            "class and attribute. Fill in what is not known, or drop the attribute."
        )
    return [getattr(label, "item", lambda label=label: label)() for label in labels], vectors
